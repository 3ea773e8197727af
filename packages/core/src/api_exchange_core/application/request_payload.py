"""The payload that a request carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from pydantic_core import from_json

from api_exchange_core.application.request import Refusal, Request, RequestRefusedError
from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_value import JsonValue, json_value

_FORM: Final = "application/x-www-form-urlencoded"
_JSON = re.compile(
    r"(?:|application/(?:[a-z0-9.-]+\+)?json|text/json|text/plain)"
)  # SNS calls its JSON text/plain
_CHARSET = re.compile(r""";\s*charset\s*=\s*"?([^";\s]*)""")
_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")
_MOST_FIELDS: Final = 1_000


def check_readable(headers: Mapping[str, str]) -> None:
    """Return if a body with these *headers* can be read: JSON or a form, in UTF-8, and not compressed.

    Raises:
        RequestRefusedError: it cannot.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise RequestRefusedError(
            Refusal.UNSUPPORTED,
            "send the body as it is: what is compressed is not taken in",
            {"Accept-Encoding": "identity"},  # RFC 9110, section 12.5.3
        )
    content_type = headers.get("content-type", "").lower()
    charset = _CHARSET.search(content_type)
    media_type = _media_type(headers)
    if media_type != _FORM and not _JSON.fullmatch(media_type):
        raise RequestRefusedError(Refusal.UNSUPPORTED, f"send application/json or {_FORM}")
    if charset is not None and charset[1] not in _CHARSETS:
        raise RequestRefusedError(Refusal.UNSUPPORTED, "send the body in UTF-8")


def payload_of(request: Request, *, only_body: bool) -> JsonValue:
    """The JSON body; of a form, an object of its fields, and a list where a field is given more than once.

    Args:
        request: with its body.
        only_body: the query is not what proves the request, and says nothing. Elsewhere, where there is no body, the
            payload is an object of the query's parameters.

    Raises:
        RequestRefusedError: the body cannot be read.
    """
    if not request.body:
        if only_body:
            raise RequestRefusedError(Refusal.UNREADABLE, "the body is empty")
        return dict(request.query)
    try:
        if _media_type(request.headers) == _FORM:
            return json_value(_fields(request.body))
        return json_value(from_json(request.body, allow_inf_nan=False))
    except UnrepresentableError as error:
        raise RequestRefusedError(Refusal.UNREADABLE, str(error)) from None
    except ValueError as error:
        raise RequestRefusedError(Refusal.UNREADABLE, f"the body is not {_kind(request)}: {error}") from None


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _kind(request: Request) -> str:
    return "a form" if _media_type(request.headers) == _FORM else "JSON"


def _fields(body: bytes) -> dict[str, str | list[str]]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise ValueError("write what is not ASCII as UTF-8, percent-encoded") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
