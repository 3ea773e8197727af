"""`python -m benchmarks.simulation`: what a schedule costs, and in how many of them planted bugs are found."""

from __future__ import annotations

import argparse

from benchmarks.simulation import speed
from benchmarks.simulation.planted import PLANTS, hunt


def table(*, schedules: int) -> str:
    """How soon and how often each planted bug is found."""
    lines = ["| planted bug | first found in schedule | found in |", "| --- | ---: | ---: |"]
    for plant in PLANTS:
        hunted = hunt(plant, schedules=schedules)
        lines.append(f"| {plant.name} | {hunted.first or 'none'} | {hunted.found} of {schedules} |")
    return "\n".join(lines)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=speed.SCHEDULES, help="of each measurement and bug")
    schedules = parser.parse_args().schedules
    speed.main(schedules)
    print(f"\nPlanted bugs, three instances\n\n{table(schedules=schedules)}")


if __name__ == "__main__":
    main()
