"""What every demo is to show, on whatever its exchange runs."""

from __future__ import annotations

from typing import Final

from examples.orders.story import Story, table

# The changed order goes to express as well, and stays where it was as it was: 708 and one more.
TABLE: Final = """
orders fetched                     3,578 3,341 6,919
entities: orders                   3,578 3,341 6,919
entities: canonical orders         3,578 3,341 6,919
versions of orders                 3,578 3,341 6,919
versions of canonical orders       3,578 3,341 6,919
suspected duplicates               12 9 21
second run: unchanged              3,578 3,341 6,919
second run: versions               0 0 0
second run: forwarded              0 0 0
after one changed: order versions  1 0 1
and canonical versions             1 0 1
messages in express-orders         709
messages in standard-orders        6,203
messages in unknown-orders         8
dead letters                       0
"""
_SPEED: Final = "messages a second, first run"


def told(story: Story) -> list[list[str]]:
    """The words of each row of the story's table; all but how fast it was, which must be there."""
    rows = list(zip(*(column.cells for column in table(story).columns), strict=True))
    assert [row[0] for row in rows].count(_SPEED) == 1
    return [" ".join(map(str, row)).split() for row in rows if row[0] != _SPEED]


EXPECTED: Final = [line.split() for line in TABLE.strip().splitlines()]
"""The rows of `TABLE`, by which any two demos that tell the same as it tell the same as each other."""
