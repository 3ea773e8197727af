"""Asking a vendor for a token."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Protocol

from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import TokenAnswer


class TokenRefusedError(TransientError):
    """The vendor issued no token, and used nothing up: that much is certain.

    Args:
        message: what it answered, such as the status; nothing of the body that it may have chosen freely.
        retry_after: the pause that it asked for.
        final: it will answer the same until somebody mends something, such as the credentials.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.final = final


class TokenGrant(Protocol):
    """A way to get tokens of one API. It keeps none."""

    @property
    @abstractmethod
    def timeout(self) -> timedelta:
        """How long `ask` takes at most."""

    @property
    @abstractmethod
    def is_repeatable(self) -> bool:
        """Whether asking twice does no harm. False if each exchange uses up a refresh token."""

    @abstractmethod
    def ask(self, refresh_token: Secret | None) -> TokenAnswer:
        """Get a token from the vendor.

        Args:
            refresh_token: the newest one that the vendor has given; None if it has given none yet.

        Raises:
            TokenRefusedError: none was issued, and the refresh token is as good as before.
            ExchangeError: whether one was issued is not known.
        """
