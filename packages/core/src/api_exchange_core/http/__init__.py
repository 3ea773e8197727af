"""Clients of other people's APIs, for processors. Needs httpx: ``pip install "api-exchange-core[apis]"``."""

from api_exchange_core.adapters.http.answers import answer_as, json_of
from api_exchange_core.adapters.http.grants import ClientAuth, ClientCredentials, RefreshToken
from api_exchange_core.adapters.http.token_auth import AsyncTokenSource, TokenAuth, TokenSource
from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator
from api_exchange_core.domain.pagination.styles import (
    CursorPages,
    LinkedPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
)
from api_exchange_core.domain.pagination.walk import Fetched
from api_exchange_core.domain.pagination.window import WindowParams, rfc3339
from api_exchange_core.http.async_client import AsyncApiClient
from api_exchange_core.http.client import ApiClient
from api_exchange_core.http.limits import Limits
from api_exchange_core.http.pages import Record, fetch_from, fetch_from_async, pages, pages_async

__all__ = [
    "ApiClient",
    "AsyncApiClient",
    "AsyncTokenSource",
    "Budget",
    "ClientAuth",
    "ClientCredentials",
    "CursorPages",
    "Fetched",
    "HttpPage",
    "HttpPageRequest",
    "Limits",
    "LinkedPages",
    "NextUrlPages",
    "NumberedPages",
    "OffsetPages",
    "Paginator",
    "Record",
    "RefreshToken",
    "TokenAuth",
    "TokenSource",
    "WindowParams",
    "answer_as",
    "fetch_from",
    "fetch_from_async",
    "json_of",
    "pages",
    "pages_async",
    "rfc3339",
]
