"""`python -m benchmarks.cold_start`: how long a handler takes to load, and how large its package is, beside others.

Each start is a new interpreter over the unpacked package, bytecode compiled; candidates take turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.cold_start import aws, azure
from benchmarks.cold_start.candidate import Candidate, Start

PLATFORMS = {"aws": aws.candidates, "azure": azure.candidates}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platform", choices=PLATFORMS, default="aws")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-cold-start-") as folder:
        candidates = list(PLATFORMS[given.platform](Path(folder)))
        nothing = Candidate("python -c pass", 0, 0, Path(folder), "pass", {})
        starts = measured([nothing, *candidates], rounds=given.rounds)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"medians of {given.rounds} starts"
    )
    for candidate, own in starts:
        wall, cpu = (median(values) * 1e3 for values in ([s.wall for s in own], [s.cpu for s in own]))
        size = f"{candidate.zip_bytes / 1e6:5.1f} MB packed {candidate.bytes / 1e6:6.1f} MB unpacked"
        size = size if candidate.bytes else ""
        print(f"  {candidate.name:<36} {wall:6.0f} ms {cpu:6.0f} ms CPU  {size}")


def measured(candidates: list[Candidate], *, rounds: int) -> list[tuple[Candidate, list[Start]]]:
    """The starts of each candidate; one more of each comes first, and is not counted."""
    starts: list[list[Start]] = [[] for _ in candidates]
    for _ in range(rounds + 1):
        for candidate, own in zip(candidates, starts, strict=True):
            own.append(candidate.start())
    return [(candidate, own[1:]) for candidate, own in zip(candidates, starts, strict=True)]


if __name__ == "__main__":
    main()
