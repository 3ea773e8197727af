r"""Bytes as a text that SQS takes, and back.

A message of SQS is a text without most control characters, surrogates, U+FFFE and U+FFFF (SendMessage, MessageBody),
all but the first of which JSON may hold. What it does not take is written as U+E000, a private character, and six
hexadecimal digits; so is U+E000 itself, and bytes that are no UTF-8. Everything else, and so nearly every message, is
as it was.
"""

from __future__ import annotations

import re
from typing import Final

_QUOTE: Final = "\ue000"
_REFUSED: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue001-\ufffd\U00010000-\U0010ffff]")
_QUOTED: Final = re.compile(f"{_QUOTE}(0000[01][0-9a-f]|00dc[89a-f][0-9a-f]|00e000|00fff[ef])")


def text_of(body: bytes) -> str:
    """*body* as a text that SQS takes; `body_of` gives the same bytes again, be they UTF-8 or not."""
    text = body.decode("utf-8", "surrogateescape")
    return _REFUSED.sub(lambda found: f"{_QUOTE}{ord(found[0]):06x}", text)


def body_of(text: str) -> bytes:
    """The bytes that were sent as *text*."""
    if _QUOTE in text:
        text = _QUOTED.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-8", "surrogateescape")
