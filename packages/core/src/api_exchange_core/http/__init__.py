"""Clients of other people's APIs, for processors. Needs httpx: ``pip install "api-exchange-core[apis]"``."""

from api_exchange_core.adapters.http.answers import answer_as, json_of
from api_exchange_core.adapters.http.token_auth import AsyncTokenSource, TokenAuth, TokenSource
from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.pagination.page import Page, PageRequest, Paginator
from api_exchange_core.domain.pagination.styles import (
    CursorPages,
    LinkedPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
)
from api_exchange_core.domain.pagination.walk import Fetched
from api_exchange_core.http.async_client import AsyncApiClient
from api_exchange_core.http.client import ApiClient
from api_exchange_core.http.limits import Limits
from api_exchange_core.http.pages import pages, pages_async

__all__ = [
    "ApiClient",
    "AsyncApiClient",
    "AsyncTokenSource",
    "Budget",
    "CursorPages",
    "Fetched",
    "Limits",
    "LinkedPages",
    "NextUrlPages",
    "NumberedPages",
    "OffsetPages",
    "Page",
    "PageRequest",
    "Paginator",
    "TokenAuth",
    "TokenSource",
    "answer_as",
    "json_of",
    "pages",
    "pages_async",
]
