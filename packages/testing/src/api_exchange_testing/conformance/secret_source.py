"""What every `SecretSource` does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_testing.conformance._samples import EVERY_SCRIPT
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import Suite

Keep = Callable[[str, bytes | None], None]
"""Keeps a secret under a name where the source looks, from then on; None for nothing. Not through the source."""

_NAME = "API_EXCHANGE_SUITE"


class SecretSourceSuite(Suite):
    """Needs fixtures `source`, a `SecretSource` with nothing in it, and `keep`, a `Keep`."""

    @pytest.mark.parametrize(
        "secret", [b"plain", b" blanks and a line break \n", EVERY_SCRIPT.encode(), b"=,:" * 10_000]
    )
    def test_a_secret_is_given_as_it_is_kept(self, source: SecretSource, keep: Keep, secret: bytes) -> None:
        keep(_NAME, secret)
        assert source.secret(_NAME) == secret

    def test_names_are_apart(self, source: SecretSource, keep: Keep) -> None:
        keep(_NAME, b"one")
        keep(f"{_NAME}_2", b"two")
        assert (source.secret(_NAME), source.secret(f"{_NAME}_2")) == (b"one", b"two")

    def test_a_secret_that_was_changed_is_given_as_it_is_now(self, source: SecretSource, keep: Keep) -> None:
        keep(_NAME, b"before")
        source.secret(_NAME)
        keep(_NAME, b"after")
        assert source.secret(_NAME) == b"after"
        keep(_NAME, None)
        with pytest.raises(LookupError):
            source.secret(_NAME)

    @pytest.mark.parametrize(
        "name",
        ["API_EXCHANGE_NOBODY", "../API_EXCHANGE_SUITE", "/etc/hostname", "..", ".", "", "a/b", "a\0b"],
    )
    def test_where_there_is_none_the_error_names_it_and_tells_no_other_secret(
        self, source: SecretSource, keep: Keep, name: str
    ) -> None:
        keep(_NAME, b"hunter2Zq81")
        with pytest.raises(LookupError) as refused:
            source.secret(name)
        assert repr(name) in str(refused.value)
        assert "hunter2Zq81" not in str(refused.value)

    def test_its_repr_tells_no_secret(self, source: SecretSource, keep: Keep) -> None:
        keep(_NAME, b"hunter2Zq81")
        source.secret(_NAME)
        assert "hunter2Zq81" not in repr(source)

    def test_many_may_ask_at_once(self, source: SecretSource, keep: Keep) -> None:
        keep(_NAME, b"x" * 10_000)
        assert set(all_at_once(lambda _: source.secret(_NAME))) == {b"x" * 10_000}
