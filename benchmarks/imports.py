"""How long things take to import and to start, each in a fresh interpreter with bytecode compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Row, interleaved, show

EXCHANGE = """
from api_exchange_core import Exchange, GatewayProcessor, Routing, Schedule
exchange = Exchange("shop", tenants=["customer-a"])
exchange.timer("route", Schedule.every(minutes=5), GatewayProcessor(Routing([], default="orders")))
"""


def python(code: str) -> Callable[[], object]:
    """Runs *code* in a new interpreter."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


def hot_start(folder: Path) -> Callable[[], object]:
    """From the command to the line that says what runs, over a database that exists."""
    command = [sys.executable, "-m", "api_exchange_core.cli", "run", "shop:exchange"]

    def start() -> None:
        with subprocess.Popen(
            command, cwd=folder, env=_environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "running" in line:
                    break
            else:
                raise RuntimeError("the exchange did not start")
            process.terminate()
            process.stderr.read()

    return start


def measure() -> list[Row]:
    """Milliseconds; the first line is what an interpreter costs that does nothing."""
    with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
        (Path(folder) / "shop.py").write_text(EXCHANGE)
        candidates = {
            "python -c pass": python("pass"),
            "import pydantic": python("from pydantic import BaseModel, TypeAdapter"),
            "import api_exchange_core": python("import api_exchange_core"),
            "import api_exchange_core.containers.local": python("import api_exchange_core.containers"),
            "api-exchange run, hot, started and stopped": hot_start(Path(folder)),
        }
        for call in candidates.values():
            call()
        return [Row(name, value * 1e3, "ms") for name, value in interleaved(candidates, rounds=7).items()]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Print the report."""
    show("Start", measure())


if __name__ == "__main__":
    main()
