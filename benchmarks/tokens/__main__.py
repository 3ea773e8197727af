"""``python -m benchmarks.tokens``: what it costs when a token has expired, and when its maker does not return."""

from __future__ import annotations

import argparse

from api_exchange_testing.postgres import PostgresServer
from benchmarks.tokens.hot_path import microseconds
from benchmarks.tokens.run import Round, deployment


def main() -> None:
    """Run each case once, on a PostgreSQL of its own, and print what came of it."""
    parser = argparse.ArgumentParser(prog="benchmarks.tokens", description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=16, help="of each process")
    parser.add_argument("--takes", type=float, default=0.5, help="seconds that the vendor takes")
    asked = parser.parse_args()
    print(f"a token from memory: {microseconds():.1f} us a call")
    print(
        f"{'':<28} {'hits':>5} {'stored':>7} {'refused':>8} {'got it':>7} {'put off':>8} {'p50 ms':>7} {'p99 ms':>7}"
    )
    with (
        PostgresServer.start() as server,
        deployment(
            server.create_database(), processes=asked.processes, threads=asked.threads, takes=asked.takes
        ) as running,
    ):
        for number in range(5):
            show(f"all at once, {number + 1}", running.at_once(f"at-once-{number}"))
        show("leader paused", running.leader_paused("paused"))
        show("leader killed", running.leader_killed("killed"))


def show(what: str, found: Round) -> None:
    """One line of the table; times are beyond the vendor's last answer."""
    counts = (len(found.hits), found.generations, found.late, len(found.tokens), len(found.errors))
    numbers = "".join(f"{count:>{width}}" for count, width in zip(counts, (6, 8, 9, 8, 9), strict=True))
    print(f"{what:<28}{numbers} {found.wait(0.5) * 1000:>7.0f} {found.wait(0.99) * 1000:>7.0f}", flush=True)


if __name__ == "__main__":
    main()
