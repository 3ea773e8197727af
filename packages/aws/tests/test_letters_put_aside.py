"""Letters come back from where they were put aside as they were, and oldest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from tempfile import SpooledTemporaryFile

from hypothesis import given
from hypothesis import strategies as st

from api_exchange_aws.sqs.put_aside import PutAside
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter
from api_exchange_core.domain.names import QueueName

_START = datetime(2026, 3, 1, tzinfo=UTC)

letters = st.builds(
    lambda number, body, age: StoredLetter(
        id=LetterId(f"{number}"),
        queue=QueueName("orders"),
        body=body,
        buried_at=_START + timedelta(seconds=age),
    ),
    st.integers(0, 20),
    st.binary(max_size=40),
    st.integers(0, 5),
)


@given(st.lists(letters, max_size=20), st.integers(1, 7), st.integers(1, 100))
def test_the_first_of_each_id_comes_back_once_oldest_first(
    handed_out: list[StoredLetter], size: int, in_memory: int
) -> None:
    first: dict[LetterId, StoredLetter] = {}
    with SpooledTemporaryFile(max_size=in_memory) as bodies:
        aside = PutAside(bodies)
        for letter in handed_out:
            first.setdefault(letter.id, letter)
            aside.add(letter)
        pages = list(aside.pages(size))
    assert [letter for page in pages for letter in page] == sorted(
        first.values(), key=lambda one: one.buried_at
    )
    assert all(len(page) == size for page in pages[:-1])
    assert all(pages)
