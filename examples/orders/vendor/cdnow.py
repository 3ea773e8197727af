"""The orders in `data/cdnow-sample.txt`; its README names the source and the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

DATA_FILE = Path(__file__).parents[1] / "data" / "cdnow-sample.txt"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One row: what a customer bought on one day.

    Attributes:
        row: the place in the file, from 1; the only thing that tells equal rows apart.
        customer: the number in the whole data set, five digits.
        sample_number: the number of the same customer in the sample, 1 to 2357.
    """

    row: int
    customer: str
    sample_number: int
    placed_on: date
    cds: int
    dollars: Decimal


def read_purchases(path: Path = DATA_FILE) -> Iterator[Purchase]:
    """Every row of the file, in its order."""
    with path.open(encoding="ascii") as lines:
        for row, line in enumerate(lines, start=1):
            customer, sample_number, day, cds, dollars = line.split()
            yield Purchase(
                row=row,
                customer=customer,
                sample_number=int(sample_number),
                placed_on=_day(day),
                cds=int(cds),
                dollars=Decimal(dollars),
            )


def _day(yyyymmdd: str) -> date:
    return date(int(yyyymmdd[:4]), int(yyyymmdd[4:6]), int(yyyymmdd[6:]))
