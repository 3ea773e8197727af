"""Taking secrets out of texts that others have written, before they are logged or stored.

By shape: what this finds is a net below the rule that secrets are not put into texts, not a replacement for it.
"""

from __future__ import annotations

import re
from functools import lru_cache

REDACTED = "[redacted]"

_NAMES = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie", "credential", "apikey",
    "accesskey", "accountkey", "privatekey", "secretkey", "sharedkey", "encryptionkey", "connectionstring",
    "signature", "jwt",
)  # fmt: skip
_SEPARATORS = str.maketrans("", "", "_-. ")
_ABOUT_IT = re.compile(
    r"(?:[_.\- ](?:ids?|count|counts|type|name|url|endpoint|expires_at|expires_in|waits?)"
    r"|(?:Ids?|Count|Type|Name|Url|Endpoint|ExpiresAt|ExpiresIn))$"
)

_KEY = (
    r"(?:password|passwd|passphrase|pwd|client[-_]?secret|secret[-_]?key|secret|token|api[-_]?key|access[-_]?key"
    r"|account[-_]?key|private[-_]?key|shared[-_]?key|shared[-_]?access[-_]?signature|signature|credentials?|\bsig)"
)
_VALUE = r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|[^\s,;&"'<>(){}\[\]]+)"""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        REDACTED,
    ),
    # The user part of a URL. A password may hold "@" and "/", so up to the last "@" of the word.
    (re.compile(r"(://)[^\s/?#'\"@:]{0,256}:[^\s'\"]{1,512}@"), rf"\1{REDACTED}@"),
    (re.compile(r"(://)[^\s/?#'\"@:]{1,512}@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?ai)((?:authorization|cookie)[\"']?\]?\s*[:=]\s*[\"']?)[^\r\n\"'}]+"), rf"\1{REDACTED}"),
    (re.compile(r"(?ai)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1\2{REDACTED}"),
    (re.compile(rf"(?ai)({_KEY}[\"']?\]?\s*[:=]\s*){_VALUE}"), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*"), REDACTED),  # JSON Web Tokens, RFC 7519
    # Tokens that say whose they are: GitHub, Slack, Stripe and others, Amazon Web Services, Shopify.
    (
        re.compile(
            r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abeoprs]-[\w-]{10,}|[srp]k_(?:live|test)_\w{10,}"
            r"|(?:AKIA|ASIA)[0-9A-Z]{16}|shp(?:at|ca|pa|ss)_\w{20,})"
        ),
        REDACTED,
    ),
    # Libraries that quote the values at hand: SQLAlchemy's statements, pydantic's validation errors. The end may have
    # been cut off.
    (re.compile(r"(\[parameters: ).*"), rf"\1{REDACTED}]"),
    (re.compile(r"(input_value=).*?(, input_type=|\Z)", re.DOTALL), rf"\1{REDACTED}\2"),
)
_HINTS = (
    "://", "pass", "pwd", "secret", "token", "key", "authorization", "cookie", "signature", "sig=", "sig:",
    "credential", "bearer", "basic", "eyj", "gh", "xox", "k_live", "k_test", "akia", "asia", "shp", "[parameters",
    "input_value",
)  # fmt: skip
"""Of what no rule can match a text has none of these, in lower case; most texts have none."""


def redacted(text: str) -> str:
    """*text* without what looks like a secret.

    Found are user and password in URLs, values beside names such as ``password`` and ``api_key``, connection strings,
    authorization headers and cookies, JSON Web Tokens, private keys, tokens with a known prefix, and values that
    SQLAlchemy and pydantic quote in their errors.
    """
    if not may_hold_secret(text):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def may_hold_secret(text: str) -> bool:
    """Whether a look at *text* is worth its time: false for most texts, and never for one that would be changed."""
    lower = text.lower()
    return any(hint in lower for hint in _HINTS)


@lru_cache(maxsize=4096)
def is_secret_name(name: str, also: frozenset[str] = frozenset()) -> bool:
    """Whether what is called *name* is a secret.

    ``accessToken``, ``X-API-Key`` and ``db_password`` are; ``token_id`` and ``secret_name`` only tell of one.

    Args:
        name: of a field, a header, a variable.
        also: further names, in lower case and without separators; one of them anywhere in *name* is enough.
    """
    plain = name.lower().translate(_SEPARATORS)
    if any(one in plain for one in also):
        return True
    return any(one in plain for one in _NAMES) and not _ABOUT_IT.search(name)
