"""What a container makes, made without it."""

from __future__ import annotations

import pytest
from dependency_injector import containers, providers

from api_exchange_testing.simulation.recipe import Recipe


class Part:
    def __init__(self, *parts: object, name: object = "") -> None:
        self.parts = parts
        self.name = name

    def told(self) -> str:
        return f"told by {self.name}"


class Parts(containers.DeclarativeContainer):
    given: providers.Dependency[str] = providers.Dependency()
    fallback: providers.Dependency[Part] = providers.Dependency(
        default=providers.Singleton(Part, name="default")
    )
    missing: providers.Dependency[Part] = providers.Dependency()

    shared = providers.Singleton(Part, name=given)
    whole = providers.Singleton(Part, shared, fallback, providers.List(shared, "constant"))
    told = providers.Singleton(Part, shared.provided.told.call(), name=shared.provided.name)
    lacking = providers.Singleton(Part, missing)
    factory = providers.Factory(Part)


def test_each_part_is_made_once_a_filling_and_anew_in_the_next() -> None:
    recipe = Recipe.of(Parts, ["whole", "shared"], given=["given"])
    (whole, shared), (again, _) = recipe.filled({"given": "a"}), recipe.filled({"given": "b"})
    assert whole.parts[0] is shared
    assert whole.parts[2] == [shared, "constant"]
    assert (shared.name, whole.parts[1].name, again.parts[0].name) == ("a", "default", "b")


def test_what_parts_provide_and_answer_is_read_of_them() -> None:
    (told,) = Recipe.of(Parts, ["told"], given=["given"]).filled({"given": "a"})
    assert (told.parts, told.name) == (("told by a",), "a")


def test_a_part_may_be_given_or_stood_in_for() -> None:
    (whole,) = Recipe.of(Parts, ["whole"], given=["shared"]).filled({"shared": "mine"})
    assert whole.parts[0] == "mine"
    instead = {"shared": providers.Singleton(Part, name="another")}
    (whole,) = Recipe.of(Parts, ["whole"], given=[], instead=instead).filled({})
    assert whole.parts[0].name == "another"


def test_what_is_missing_or_cannot_be_read_is_told_before_anything_is_made() -> None:
    with pytest.raises(LookupError, match="missing"):
        Recipe.of(Parts, ["lacking"], given=[])
    with pytest.raises(TypeError, match="this kind of provider"):
        Recipe.of(Parts, ["factory"], given=[])
