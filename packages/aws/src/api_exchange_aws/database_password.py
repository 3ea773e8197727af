"""Passwords of RDS databases that know a function by its role."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from api_exchange_core.domain.errors import TransientError

if TYPE_CHECKING:
    from sqlalchemy import URL

PORT: Final = 5432
"""Of PostgreSQL, where the URL names none."""

# "Amazon RDS endpoints": of instances, clusters and proxies; those in China have the region behind the service.
_ENDPOINT: Final = re.compile(
    r"\.(?:(?P<region>[a-z0-9-]+)\.rds\.amazonaws\.com|rds\.(?P<china>[a-z0-9-]+)\.amazonaws\.com\.cn)$"
)


class TokenSigner(Protocol):
    """What is used of a client of RDS."""

    @abstractmethod
    def generate_db_auth_token(
        self,
        DBHostname: str,  # noqa: N803 - the names that boto3 gives them
        Port: int,  # noqa: N803
        DBUsername: str,  # noqa: N803
        Region: str | None = None,  # noqa: N803
    ) -> str:
        """A URL that is signed for 15 minutes; without *Region* for the client's."""


@dataclass(frozen=True, slots=True)
class IamDatabasePassword:
    """Signs tokens that RDS, Aurora and RDS Proxy take as passwords, each for 15 minutes; nobody is asked for them.

    The token is for the region in the endpoint's name, and for the client's region if it has none; a name of one's own
    (CNAME) is not what RDS compares it with. The function's role needs the right ``rds-db:connect`` for
    ``dbuser:<resource id>/<user>``, and the user the role ``rds_iam`` in PostgreSQL.

    Source: "IAM database authentication for MariaDB, MySQL, and PostgreSQL", Amazon RDS.

    Args:
        client: of RDS, whose region and credentials sign.
    """

    client: TokenSigner

    def __call__(self, url: URL) -> str:
        """The password for a connection to *url*.

        Raises:
            TransientError: it cannot be signed; no message is lost to what somebody has yet to mend.
        """
        host = url.host or ""
        try:
            return self.client.generate_db_auth_token(
                DBHostname=host,
                Port=PORT if url.port is None else url.port,
                DBUsername=url.username or "",
                Region=_region(host),
            )
        except (BotoCoreError, ClientError) as error:
            raise TransientError(
                f"no password for database {host!r} can be signed: {type(error).__name__}: {error}"
            ) from error


def _region(host: str) -> str | None:
    """The region that an endpoint is in, if its name says so."""
    endpoint = _ENDPOINT.search(host)
    return None if endpoint is None else endpoint["region"] or endpoint["china"]
