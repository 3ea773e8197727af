"""Passwords of databases that know a function app by its managed identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError

from api_exchange_core.domain.errors import TransientError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from sqlalchemy import URL

SCOPE: Final = "https://ossrdbms-aad.database.windows.net/.default"
"""Of Azure Database for PostgreSQL ("Microsoft Entra authentication", flexible server)."""


@dataclass(frozen=True, slots=True)
class EntraDatabasePassword:
    """Tokens of Entra, which Azure Database for PostgreSQL takes as passwords.

    `azure.identity` keeps a token for as long as it is good, so most connections ask nobody. The user in the URL is the
    name of the identity, as the server's Entra administrator has made it known (``pgaadauth_create_principal``).

    Args:
        credential: of the app.
    """

    credential: TokenCredential

    def __call__(self, url: URL) -> str:
        """The password for a connection to *url*.

        Raises:
            TransientError: there is none; no message is lost to what somebody has yet to mend.
        """
        try:
            return self.credential.get_token(SCOPE).token
        except AzureError as error:
            raise TransientError(
                f"Entra gives this app no token for database {url.host!r} ({type(error).__name__}): enable its managed "
                "identity, or set AZURE_CLIENT_ID to the one of several that is meant"
            ) from error
