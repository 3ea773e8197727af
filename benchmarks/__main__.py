"""`make bench`: every benchmark, one after the other."""

from __future__ import annotations

import os
import platform

from benchmarks import canonical_json, end_to_end, fair_queue, handler, imports, sql_flush, sql_scopes
from benchmarks.simulation import speed as simulated_schedules


def main() -> None:
    """Print all reports."""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. Medians."
    )
    for benchmark in (
        imports,
        canonical_json,
        handler,
        simulated_schedules,
        sql_flush,
        sql_scopes,
        fair_queue,
        end_to_end,
    ):
        benchmark.main()


if __name__ == "__main__":
    main()
