"""Each bug that is planted is found, and shown by a short plan."""

from __future__ import annotations

import pytest

from benchmarks.simulation.planted import PLANTS, Plant

_ENOUGH = 400


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name.replace(" ", "-"))
def test_a_planted_bug_is_found(plant: Plant) -> None:
    errors = (plant.broken(seed=seed) for seed in range(_ENOUGH))
    assert any(plant.says in wrong for error in errors if error is not None for wrong in error.wrong)
