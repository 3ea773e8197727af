"""Page after page of a collection, fetched as they are asked for, in one call or as a source."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing

import httpx

from api_exchange_core.adapters.http.answers import json_of
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.page import Page, PageRequest
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator
from api_exchange_core.domain.pagination.walk import MAX_PAGES, Fetched, Walk
from api_exchange_core.domain.pagination.window import WindowParams, in_window
from api_exchange_core.domain.tenant import current_tenant, tenant_context
from api_exchange_core.http.async_client import AsyncApiClient
from api_exchange_core.http.client import ApiClient

Record = dict[str, JsonValue]


def fetch_from(
    client: ApiClient,
    paginator: Paginator,
    *,
    window: WindowParams | None = None,
    max_pages: int = MAX_PAGES,
) -> Callable[[PageRequest], Page[Record]]:
    """What `Source.pages` is given to extract a collection: ``source.pages(fetch_from(client, ORDERS))``.

    The source's cursor is the state of the walk through the pages, so each message goes on where the last one ended.

    Args:
        client: of the API.
        paginator: how it gives its pages, whose items are JSON objects.
        window: how it is asked for a part of time; needed with a `Watermark`, and to backfill.
        max_pages: of a run; more than that is taken for a mistake.

    Raises:
        RetryableError: as of `pages`, and so the others, when a page is fetched.
        DeferError: as of `pages`.
        PermanentError: as of `pages`; or an item is no object.
        DeclarationError: a part of time is wanted that *window* cannot ask for.
    """

    def fetch(request: PageRequest) -> Page[Record]:
        asked = in_window(paginator, request.window, window)
        return _records(next(pages(client, asked, state=request.cursor, max_pages=max_pages)))

    return fetch


def fetch_from_async(
    client: AsyncApiClient,
    paginator: Paginator,
    *,
    window: WindowParams | None = None,
    max_pages: int = MAX_PAGES,
) -> Callable[[PageRequest], Awaitable[Page[Record]]]:
    """As `fetch_from`, for ``async for page in source.pages(...)``."""

    async def fetch(request: PageRequest) -> Page[Record]:
        walk = Walk(in_window(paginator, request.window, window), state=request.cursor, max_pages=max_pages)
        async with aclosing(_pages_async(client, walk, current_tenant())) as found:
            return _records(await anext(found))

    return fetch


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


async def _pages_async(
    client: AsyncApiClient, walk: Walk, tenant_id: TenantId
) -> AsyncGenerator[Fetched, None]:
    while (request := walk.request) is not None:
        with tenant_context(tenant_id):
            response = await client.get(request.url, params=request.params)
        yield walk.arrive(_page(request, response))


def _page(request: HttpPageRequest, response: httpx.Response) -> HttpPage:
    return HttpPage(request, url=str(response.url), headers=response.headers, body=json_of(response))


def _records(fetched: Fetched) -> Page[Record]:
    records = [item for item in fetched.items if isinstance(item, dict)]
    if len(records) < len(fetched.items):
        raise PermanentError(
            f"page {fetched.number} holds items that are no JSON objects: give the source a fetch of your own, "
            "which makes records of what `pages` answers"
        )
    return Page(records, next_cursor=fetched.state)
