"""`make package-aws`: what Lambda loads, as a zip: the example, the framework, and what they need, as it is locked.

The same sources give the same bytes: names are sorted, times and rights are fixed, and what says where and when
something was installed is left out. Libraries are the wheels for Lambda's Python and processor, not this machine's.

A function cannot write beside its code, and would compile all of it at each start: if this Python is Lambda's, the
bytecode goes along. The SDK describes only those services of AWS that functions call: all would be 16 MB more.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "dist" / "orders-aws.zip"

ARCHITECTURES: Final = {"x86_64": "x86_64-manylinux2014", "arm64": "aarch64-manylinux2014"}
"""What Lambda calls a processor, and what wheels for it are called."""

SERVICES: Final = ("dynamodb", "secretsmanager", "sqs", "ssm", "sts")
"""Those of AWS that the functions call; credentials may take the last."""

_MEMBERS: Final = ("core", "aws")
_EXAMPLE: Final = ("app", "container", "exchange", "mapping", "models", "processors")
_TRACES: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
_SOURCES: Final = (".c", ".h", ".pxd", ".pyi", ".pyx")  # of what is compiled already
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell
_LEVEL: Final = 6  # 9 takes four times as long, for one part in a hundred
_TASK: Final = "/var/task"  # where Lambda has the zip, as tracebacks show it


@dataclass(frozen=True, slots=True)
class Platform:
    """What functions run on.

    Args:
        python: the version of Lambda's Python, such as ``3.11``.
        architecture: one of `ARCHITECTURES`.
    """

    python: str = "3.11"
    architecture: str = "x86_64"

    @property
    def of_wheels(self) -> tuple[str, ...]:
        """What tells uv."""
        return ("--python-version", self.python, "--python-platform", ARCHITECTURES[self.architecture])

    @property
    def is_pythons_own(self) -> bool:
        """Whether this Python's bytecode is that of functions."""
        return self.python == f"{sys.version_info.major}.{sys.version_info.minor}"


def package(target: Path = TARGET, platform: Platform | None = None) -> None:
    """Write the zip."""
    platform = Platform() if platform is None else platform
    with tempfile.TemporaryDirectory(prefix="orders-aws-") as folder:
        content = Path(folder) / "content"
        _install(content, Path(folder), platform)
        _copy_example(content)
        pack(content, target, platform)


def pack(content: Path, target: Path, platform: Platform) -> None:
    """Write what is installed in *content* as a zip, without what functions do not need and with bytecode."""
    _leave_out_services(content)
    if platform.is_pythons_own:
        _compile(content)
    target.parent.mkdir(exist_ok=True)
    _zip(content, target)


def _install(content: Path, scratch: Path, platform: Platform) -> None:
    """The libraries, every hash checked, and then our two packages."""
    locked = scratch / "requirements.txt"
    members = [ROOT / "packages" / member for member in _MEMBERS]
    _uv(
        "pip", "compile", *(one / "pyproject.toml" for one in members), "--extra", "apis", "--extra", "postgres",
        "-c", ROOT / "requirements.lock", "--no-emit-package", "api-exchange-core", "--generate-hashes",
        *platform.of_wheels, "-o", locked,
    )  # fmt: skip
    into: tuple[str | Path, ...] = ("--target", content, *platform.of_wheels)
    _uv("pip", "install", "--require-hashes", "-r", locked, "--only-binary", ":all:", *into)
    wheels = scratch / "wheels"
    build: tuple[str | Path, ...] = (
        "build",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        wheels,
    )
    for member in members:
        _uv(*build, member)
    _uv("pip", "install", "--no-deps", "--no-index", *sorted(wheels.glob("*.whl")), *into)


def _copy_example(content: Path) -> None:
    shutil.copy(Path(__file__).parent / "lambda_app.py", content)
    orders = content / "examples" / "orders"
    orders.mkdir(parents=True)
    for name in _EXAMPLE:
        shutil.copy(ROOT / "examples" / "orders" / f"{name}.py", orders)


def _leave_out_services(content: Path) -> None:
    for sdk in ("boto3", "botocore"):
        for service in (content / sdk / "data").iterdir():
            if service.is_dir() and service.name not in SERVICES:
                shutil.rmtree(service)


def _compile(content: Path) -> None:
    """Bytecode that is loaded without a look at its source, whose time the zip does not tell."""
    subprocess.run(  # noqa: S603 - ours; in a process of its own, since bytes may differ with what a process has done
        [
            sys.executable, "-m", "compileall", "-qq", "-s", content, "-p", _TASK,
            "--invalidation-mode", "unchecked-hash", content,
        ],
        check=True,
    )  # fmt: skip


def _zip(content: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for file in sorted(_files(content)):
            entry = zipfile.ZipInfo(file.relative_to(content).as_posix(), _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def _files(content: Path) -> Iterator[Path]:
    for file in content.rglob("*"):
        is_trace = file.parent.suffix == ".dist-info" and file.name in _TRACES
        is_needed = file.suffix not in _SOURCES and file.parent != content / "bin"
        if file.is_file() and is_needed and not is_trace:
            yield file


def _uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True)  # noqa: S603 - ours


def main() -> None:
    """Write the zip that the command line asks for."""
    parser = argparse.ArgumentParser(
        description="Write dist/orders-aws.zip, the code of infra/aws/template.yaml."
    )
    parser.add_argument(
        "--python", default=Platform().python, help="version of Lambda's Python: the parameter Python"
    )
    parser.add_argument(
        "--architecture",
        default=Platform().architecture,
        choices=ARCHITECTURES,
        help="the parameter Architecture",
    )
    given = parser.parse_args()
    platform = Platform(given.python, given.architecture)
    package(TARGET, platform)
    told = f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1e6:.1f} MB, Python {platform.python}"
    without = (
        "" if platform.is_pythons_own else f"; without bytecode, which only a Python {platform.python} makes"
    )
    sys.stdout.write(f"{told}, {platform.architecture}{without}\n")


if __name__ == "__main__":
    main()
