"""Secrets from Azure Key Vault."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import HttpResponseError
from typing_extensions import override

from api_exchange_azure.errors import code_of, translated
from api_exchange_core.ports.secret_source import SecretSource

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

# "About keys, secrets, and certificates", object names. An underscore, which app settings have, is written as a hyphen.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,127}")
_NOT_READABLE: Final = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class KeyVaultSecrets(SecretSource):
    """Secrets of a Key Vault by name, the current version.

    A vault takes no underscores: the secret ``API_EXCHANGE_KEYS`` is kept as ``API-EXCHANGE-KEYS``. It takes the role
    "Key Vault Secrets User".

    Args:
        client: of the vault.
    """

    client: SecretClient

    @override
    def secret(self, name: str) -> bytes:
        if not _NAME.fullmatch(name):
            raise LookupError(f"{name!r} is no name of a secret in Key Vault: use letters, digits and '-'")
        kept_as = name.replace("_", "-")
        with translated("get", f"secret {kept_as!r}"):
            try:
                value = self.client.get_secret(kept_as).value
            except HttpResponseError as error:
                if error.status_code in _NOT_READABLE:
                    raise LookupError(
                        f"secret {name!r} cannot be had from {self.client.vault_url} as {kept_as!r}: there is none, "
                        f"or this identity may not read it ({code_of(error)})"
                    ) from error
                raise
        if value is None:
            raise LookupError(f"secret {name!r} has no value in {self.client.vault_url}")
        return value.encode()
