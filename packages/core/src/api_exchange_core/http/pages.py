"""Page after page of a collection, fetched as they are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from api_exchange_core.adapters.http.answers import json_of
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.pagination.page import Page, PageRequest, Paginator
from api_exchange_core.domain.pagination.walk import MAX_PAGES, Fetched, Walk
from api_exchange_core.domain.tenant import current_tenant, tenant_context
from api_exchange_core.http.async_client import AsyncApiClient
from api_exchange_core.http.client import ApiClient


def pages(
    client: ApiClient, paginator: Paginator, *, state: JsonValue = None, max_pages: int = MAX_PAGES
) -> Iterator[Fetched]:
    """The pages, each fetched when it is asked for. Whose they are is settled by this call, not by the first page.

    Args:
        client: of the API.
        paginator: how it gives its pages: `CursorPages`, `LinkedPages`, ...
        state: `Fetched.state` of the page to go on after, as a checkpoint has kept it; None to begin.
        max_pages: more than that, over all of the walk, is taken for a mistake.

    Raises:
        RetryableError: the API cannot answer for now, or a page is not as it is to be.
        DeferError: it asks for a wait that is too long for this call.
        PermanentError: it refuses; the pages lead in a circle, to another host or on for too long; the state is none.
    """
    return _pages(client, Walk(paginator, state=state, max_pages=max_pages), current_tenant())


def pages_async(
    client: AsyncApiClient, paginator: Paginator, *, state: JsonValue = None, max_pages: int = MAX_PAGES
) -> AsyncIterator[Fetched]:
    """As `pages`, for ``async for``."""
    return _pages_async(client, Walk(paginator, state=state, max_pages=max_pages), current_tenant())


def _pages(client: ApiClient, walk: Walk, tenant_id: TenantId) -> Iterator[Fetched]:
    while (request := walk.request) is not None:
        with tenant_context(tenant_id):
            response = client.get(request.url, params=request.params)
        yield walk.arrive(_page(request, response))


async def _pages_async(client: AsyncApiClient, walk: Walk, tenant_id: TenantId) -> AsyncIterator[Fetched]:
    while (request := walk.request) is not None:
        with tenant_context(tenant_id):
            response = await client.get(request.url, params=request.params)
        yield walk.arrive(_page(request, response))


def _page(request: PageRequest, response: httpx.Response) -> Page:
    return Page(request, url=str(response.url), headers=response.headers, body=json_of(response))
