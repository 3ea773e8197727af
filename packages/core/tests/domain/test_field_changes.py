"""Which fields of an entity differ between two versions."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.entity import EntityVersion
from api_exchange_core.domain.field_changes import FieldChanges
from api_exchange_core.domain.names import EntityId

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIELDS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["h1", "h2"]))


def version(fields: dict[str, str]) -> EntityVersion:
    return EntityVersion(EntityId("e"), 1, "h", fields, None, None, None, NOW)


def test_fields_are_added_removed_changed_or_unchanged() -> None:
    changes = FieldChanges.between(
        version({"a": "1", "b": "1", "c": "1"}), version({"d": "1", "c": "2", "b": "1"})
    )
    assert changes == FieldChanges(added=["d"], removed=["a"], changed=["c"], unchanged=["b"])


@given(FIELDS, FIELDS)
def test_every_field_is_told_once_and_the_way_back_is_the_reverse(
    old: dict[str, str], new: dict[str, str]
) -> None:
    there, back = (
        FieldChanges.between(version(old), version(new)),
        FieldChanges.between(version(new), version(old)),
    )
    told = [*there.added, *there.removed, *there.changed, *there.unchanged]
    assert sorted(told) == sorted(old.keys() | new.keys())
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed)
