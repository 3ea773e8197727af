"""What every `Randomness` does."""

from __future__ import annotations

from api_exchange_core.ports.randomness import Randomness
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import Suite

_DRAWS = 2_000


class RandomnessSuite(Suite):
    """Needs a fixture `randomness` that returns the `Randomness`."""

    def test_ids_do_not_repeat_in_any_thread(self, randomness: Randomness) -> None:
        drawn = [id_ for ids in all_at_once(lambda _: _ids(randomness)) for id_ in ids]
        assert len(set(drawn)) == len(drawn)

    def test_an_id_has_1_to_36_printable_characters(self, randomness: Randomness) -> None:
        assert all(0 < len(id_) <= 36 and id_.isprintable() and id_.isascii() for id_ in _ids(randomness))

    def test_fractions_are_from_nought_to_below_one_and_evenly_spread(self, randomness: Randomness) -> None:
        drawn = [randomness.fraction() for _ in range(_DRAWS)]
        assert all(0 <= fraction < 1 for fraction in drawn)
        tenths = [sum(tenth <= 10 * fraction < tenth + 1 for fraction in drawn) for tenth in range(10)]
        # 200 expected in each; a fair source is outside of this range once in 10^9 runs.
        assert all(115 <= count <= 290 for count in tenths)


def _ids(randomness: Randomness) -> list[str]:
    return [randomness.new_id() for _ in range(_DRAWS)]
