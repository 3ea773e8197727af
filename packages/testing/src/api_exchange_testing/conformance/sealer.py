"""What every `Sealer` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest

from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.ports.sealer import SealedText, Sealer, key_id_of
from api_exchange_testing.conformance._samples import EVERY_SCRIPT
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import PassingTime, Suite

OLD, NEW = "key-old", "key-new"
"""Ids of the keys that the suite uses."""

_SECRET = b"hunter2Zq81"
_FOR = ("credentials", "customer-a", "shop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What the suite needs of an adapter.

    Args:
        connect: another sealer with the same keys, as another process would have it.
        use: makes keys known, the current one first, and all others unknown. The same id is the same key each time.
        memory: after how long a sealer that runs has noticed that.
    """

    connect: Callable[[], Sealer]
    use: Callable[[Sequence[str]], None]
    memory: timedelta


class SealerSuite(Suite):
    """Needs a fixture `sealing` that returns a `Sealing`."""

    @pytest.fixture
    def sealer(self, sealing: Sealing) -> Sealer:
        """The one that seals, whose current key is `OLD`."""
        sealing.use([OLD])
        return sealing.connect()

    @pytest.mark.parametrize("secret", [b"", b"\0", _SECRET, EVERY_SCRIPT.encode(), bytes(range(256)) * 400])
    def test_what_was_sealed_is_unsealed_by_another_process(
        self, sealing: Sealing, sealer: Sealer, secret: bytes
    ) -> None:
        sealed = sealer.seal(secret, bound_to=_FOR)
        assert sealing.connect().unseal(sealed, bound_to=_FOR) == secret

    def test_the_text_is_ascii_names_its_key_and_holds_no_part_of_the_secret(self, sealer: Sealer) -> None:
        sealed = sealer.seal(_SECRET * 3, bound_to=_FOR)
        assert sealed.isascii()
        assert sealed.isprintable()
        assert key_id_of(sealed) == OLD
        assert _SECRET.decode() not in sealed

    def test_what_it_is_bound_to_is_not_in_the_text(self, sealer: Sealer) -> None:
        sealed = sealer.seal(_SECRET, bound_to=_FOR)
        assert not [part for part in _FOR if part in sealed]

    def test_the_same_secret_makes_another_text_each_time(self, sealing: Sealing, sealer: Sealer) -> None:
        texts = all_at_once(lambda _: [sealer.seal(_SECRET, bound_to=_FOR) for _ in range(50)])
        texts.append([sealing.connect().seal(_SECRET, bound_to=_FOR)])
        flat = [text for some in texts for text in some]
        assert len({text.rpartition(".")[2] for text in flat[:-1]}) == len(flat) - 1

    def test_no_character_can_be_changed(self, sealer: Sealer) -> None:
        sealed = sealer.seal(_SECRET, bound_to=_FOR)
        for place, character in enumerate(sealed):
            for other in {"A", "B", "a", "z", "2", ".", "-", "=", "é", ""} - {character}:
                changed = SealedText(sealed[:place] + other + sealed[place + 1 :])
                with pytest.raises(PermanentError) as refused:
                    sealer.unseal(changed, bound_to=_FOR)
                assert _SECRET.decode() not in str(refused.value)

    @pytest.mark.parametrize(
        "text", ["", ".", "..", "v1", f"v1.{OLD}", f"v1.{OLD}.", f"v9.{OLD}.AAAA", "\0", "é" * 90]
    )
    def test_what_is_no_sealed_text_is_refused(self, sealer: Sealer, text: str) -> None:
        with pytest.raises(PermanentError):
            sealer.unseal(SealedText(text), bound_to=_FOR)
        with pytest.raises(PermanentError):
            sealer.is_current(SealedText(text))

    def test_a_part_or_more_than_all_of_a_text_is_refused(self, sealer: Sealer) -> None:
        sealed = sealer.seal(_SECRET, bound_to=_FOR)
        for changed in (
            sealed[:-1],
            sealed[:-16],
            sealed + "A",
            f" {sealed}",
            f"{sealed}\n",
            sealed + sealed,
        ):
            with pytest.raises(PermanentError):
                sealer.unseal(SealedText(changed), bound_to=_FOR)

    @pytest.mark.parametrize(
        "other",
        [
            (),
            ("credentials", "customer-b", "shop"),
            ("credentials", "customer-a", "shop", ""),
            ("", "credentials", "customer-a", "shop"),
            ("credentials", "customer-ashop"),
            ("credentials", "customer-as", "hop"),
            ("credentialscustomer-ashop",),
            ("shop", "customer-a", "credentials"),
            ("credentials,customer-a", "shop"),
            ("credentials", "customer-a\0shop"),
        ],
    )
    def test_what_was_sealed_for_one_thing_is_nothing_as_another(
        self, sealer: Sealer, other: Sequence[str]
    ) -> None:
        sealed = sealer.seal(_SECRET, bound_to=_FOR)
        with pytest.raises(PermanentError) as refused:
            sealer.unseal(sealed, bound_to=other)
        assert OLD in str(refused.value)

    def test_it_can_be_bound_to_words_of_every_script_and_to_nothing(self, sealer: Sealer) -> None:
        for bound_to in ((EVERY_SCRIPT, ""), ()):
            sealed = sealer.seal(_SECRET, bound_to=bound_to)
            assert sealer.unseal(sealed, bound_to=bound_to) == _SECRET

    def test_after_a_rotation_new_is_sealed_with_the_new_key_and_old_is_still_opened(
        self, sealing: Sealing, sealer: Sealer, clock: PassingTime
    ) -> None:
        old = sealer.seal(_SECRET, bound_to=_FOR)
        assert sealer.is_current(old)
        sealing.use([NEW, OLD])
        clock.advance(sealing.memory)
        new = sealer.seal(_SECRET, bound_to=_FOR)
        assert (key_id_of(old), key_id_of(new)) == (OLD, NEW)
        assert (sealer.is_current(old), sealer.is_current(new)) == (False, True)
        assert [sealer.unseal(text, bound_to=_FOR) for text in (old, new)] == [_SECRET] * 2

    def test_what_is_sealed_with_a_key_that_was_taken_away_is_refused_by_its_name(
        self, sealing: Sealing, sealer: Sealer, clock: PassingTime
    ) -> None:
        old = sealer.seal(_SECRET, bound_to=_FOR)
        sealing.use([NEW])
        clock.advance(sealing.memory)
        with pytest.raises(PermanentError) as refused:
            sealer.unseal(old, bound_to=_FOR)
        assert OLD in str(refused.value)
        assert not sealer.is_current(old)

    def test_a_text_that_is_said_to_be_of_another_key_is_refused(
        self, sealing: Sealing, sealer: Sealer, clock: PassingTime
    ) -> None:
        sealed = sealer.seal(_SECRET, bound_to=_FOR)
        sealing.use([NEW, OLD])
        clock.advance(sealing.memory)
        with pytest.raises(PermanentError):
            sealer.unseal(SealedText(sealed.replace(OLD, NEW)), bound_to=_FOR)

    def test_without_a_key_nothing_is_sealed_or_unsealed(self, sealing: Sealing, sealer: Sealer) -> None:
        sealed = sealer.seal(_SECRET, bound_to=_FOR)
        sealing.use([])
        keyless = sealing.connect()
        for ask in (
            lambda: keyless.seal(_SECRET, bound_to=_FOR),
            lambda: keyless.unseal(sealed, bound_to=_FOR),
            lambda: keyless.is_current(sealed),
        ):
            with pytest.raises(DeclarationError):
                ask()

    def test_its_repr_tells_nothing(self, sealer: Sealer) -> None:
        sealer.seal(_SECRET, bound_to=_FOR)
        assert _SECRET.decode() not in repr(sealer)
