"""What a function of a cloud costs before its first message: the app loaded in fresh interpreters, bytecode compiled.

It is loaded from what would be deployed and nothing else: a folder with the framework and the libraries that it needs,
as they are locked. Nothing is connected to.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.measuring import Row, show

ROOT: Final = Path(__file__).parents[1]
_ROUNDS: Final = 9
_SHOWN: Final = 12
_SELF_TIME: Final = 0  # places in a line of -X importtime
_MODULE: Final = 2


@dataclass(frozen=True, slots=True)
class Platform:
    """A cloud.

    Args:
        members: the packages of the workspace that are deployed to it.
        app: makes the functions of the example.
        parts: what else is timed, by name: code for an interpreter of its own.
        environment: the app's settings.
    """

    members: tuple[str, ...]
    app: str
    parts: Mapping[str, str]
    environment: Mapping[str, str]


_ORDERS: Final = """
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
exchange = declare(OrdersContainer(shop_url="https://shop.example"))
"""

PLATFORMS: Final = {
    "azure": Platform(
        members=("core", "azure"),
        app=_ORDERS
        + "from api_exchange_azure import create_function_app\napp = create_function_app(exchange)",
        parts={
            "import azure.functions": "import azure.functions",
            "import azure.servicebus": "import azure.servicebus",
            "import sqlalchemy, psycopg": "import sqlalchemy, psycopg",
            "import httpx": "import httpx",
            "the example's exchange": _ORDERS,
        },
        environment={
            "API_EXCHANGE_DATABASE_URL": "postgresql://app@database.example/orders",
            "API_EXCHANGE_SERVICE_BUS": "Endpoint=sb://orders.example/;SharedAccessKeyName=k;SharedAccessKey=v",
        },
    ),
}


def install(platform: Platform, folder: Path) -> None:
    """Put into *folder* what is deployed, for this machine and interpreter, with its bytecode."""
    wheels = folder / "wheels"
    for member in platform.members:
        _uv("build", "--wheel", "--no-build-isolation", "--out-dir", wheels, ROOT / "packages" / member)
    names = [f"api-exchange-{member}" for member in platform.members]
    wanted = [f"{names[0]}[apis,postgres]", *names[1:]]
    locked = ("--find-links", wheels, "-c", ROOT / "requirements.lock")
    _uv("pip", "install", "--compile-bytecode", "--target", folder, *locked, *wanted)
    shutil.rmtree(wheels)
    (folder / "examples").symlink_to(ROOT / "examples")


def _uv(*arguments: str | Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "uv", *arguments, "--quiet", "--python", sys.executable], check=True
    )


def python(code: str, folder: Path, settings: Mapping[str, str], *options: str) -> str:
    """Runs *code* in a new interpreter that sees *folder* alone; what it writes as errors."""
    command = [sys.executable, "-S", "-P", *options, "-c", code]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **settings}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stderr


def measure(platform: Platform, folder: Path) -> list[Row]:
    """Milliseconds of CPU, the first line of an interpreter that does nothing; then megabytes.

    An import waits for nothing, and what else the machine does changes its CPU time less than the time by the clock.
    """
    codes = {"python -c pass": "pass", **platform.parts, "the function app": platform.app}
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(_ROUNDS + 1):  # the first, which may still compile, is not counted
        for name, code in codes.items():
            before = _of_children()
            python(code, folder, platform.environment)
            seconds[name].append(_of_children() - before)
    rows = [Row(name, median(measured[1:]) * 1e3, "ms") for name, measured in seconds.items()]
    return [*rows, Row("size, without bytecode", _size(folder) / 1e6, "MB")]


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_library(platform: Platform, folder: Path) -> list[Row]:
    """What the import of each library takes of the app's, without what it imports itself, in milliseconds."""
    spent: Counter[str] = Counter()
    for line in python(platform.app, folder, platform.environment, "-X", "importtime").splitlines():
        told = line.removeprefix("import time:").split("|")
        if len(told) > _MODULE and told[_SELF_TIME].strip().isdigit():
            spent[_library(told[_MODULE].strip())] += int(told[_SELF_TIME])
    return [Row(name, microseconds / 1e3, "ms") for name, microseconds in spent.most_common(_SHOWN)]


def _library(module: str) -> str:
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return "standard library"
    return ".".join(parts[: 2 if parts[0] == "azure" else 1])


def _size(folder: Path) -> int:
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sum(file.stat().st_size for file in files)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--platform", choices=sorted(PLATFORMS), default="azure")
    name = parser.parse_args().platform
    with tempfile.TemporaryDirectory(prefix="bench-cold-") as folder:
        install(PLATFORMS[name], Path(folder))
        show(f"Cold start, {name}", measure(PLATFORMS[name], Path(folder)))
        show(f"Imports of the app by library, {name}", by_library(PLATFORMS[name], Path(folder)))


if __name__ == "__main__":
    main()
