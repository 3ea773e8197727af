"""Secrets in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from api_exchange_core.ports.secret_source import SecretSource


class InMemorySecretSource(SecretSource):
    """The secrets that a test keeps in it.

    Args:
        secrets: those to begin with.
    """

    def __init__(self, secrets: Mapping[str, bytes] | None = None) -> None:
        self._secrets = dict(secrets or {})

    def keep(self, name: str, secret: bytes | None) -> None:
        """Keep *secret* under that name from now on; None for nothing."""
        if secret is None:
            self._secrets.pop(name, None)
        else:
            self._secrets[name] = secret

    @override
    def secret(self, name: str) -> bytes:
        if name not in self._secrets:
            raise LookupError(f"no secret {name!r} is kept in memory")
        return self._secrets[name]
