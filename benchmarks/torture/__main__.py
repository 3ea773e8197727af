"""`make torture`, or ``python -m benchmarks.torture --help``."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from benchmarks.torture.planted import BUGS
from benchmarks.torture.run import Plan, Report, run


def main() -> int:
    """Run once and tell; 1 if a promise was broken."""
    plan = _plan()
    print(f"{_asked(plan)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        report = run(plan, Path(folder))
    show(report)
    return 0 if report.holds else 1


def show(report: Report) -> None:
    """Print the tables."""
    print(f"\n{report.seconds:.0f} s. What was done to it:")
    for what, count in report.injected.items():
        print(f"  {what:<52} {count:>8,}")
    print("\nWhat the processes told before they were killed:")
    for what, count in sorted(report.happened.items()):
        print(f"  {what:<52} {count:>8,}")
    print(f"\n{'What must be true at rest':<54} {'expected':>8} {'found':>8}")
    for one in report.findings:
        print(f"  {one.what:<52} {one.expected:>8,} {one.found:>8,}  {'' if one.holds else 'BROKEN'}")
    print(
        f"\n{'Every promise was kept.' if report.holds else 'PROMISES WERE BROKEN.'} Again: {_asked(report.plan)}"
    )


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="benchmarks.torture", description=__doc__)
    default = Plan(seed=0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="default: a new one")
    parser.add_argument("--messages", type=int, default=default.messages)
    parser.add_argument("--workers", type=int, default=default.workers, help="processes at once")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default=default.database)
    parser.add_argument("--apart", action="store_true", help="keep the queues in a second database")
    parser.add_argument("--every", type=float, default=default.every, help="seconds between two faults")
    parser.add_argument("--faults-for", type=float, default=default.faults_for, help="seconds; then peace")
    parser.add_argument("--restarts", type=int, default=default.restarts, help="crashes of PostgreSQL")
    parser.add_argument(
        "--errors", type=float, default=default.errors, help="rate of calls that fail for now"
    )
    parser.add_argument("--rest-within", type=float, default=default.rest_within, help="seconds, in peace")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant one, to see it found")
    return Plan(**vars(parser.parse_args()))


def _asked(plan: Plan) -> str:
    """The command of *plan*."""
    options = ["python -m benchmarks.torture", f"--seed {plan.seed}"]
    default = Plan(seed=plan.seed)
    for name in (field.name for field in fields(Plan)):
        value = getattr(plan, name)
        if value != getattr(default, name):
            option = f"--{name.replace('_', '-')}"
            options.append(option if value is True else f"{option} {value}")
    return " ".join(options)


if __name__ == "__main__":
    sys.exit(main())
