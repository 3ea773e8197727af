"""What a cloud loads of the example examples/orders: the example, the framework, and what they need, as it is locked.

The same sources give the same bytes: names are sorted, times and rights are fixed, and what says where and when
something was installed is left out. Libraries are wheels for the cloud's Python and processor, not this machine's.

A function cannot write beside its code, and would compile all of it at each start: if this Python is the cloud's, the
bytecode goes along. An SDK of AWS describes only those services that functions call: all would be 16 MB more.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

ARCHITECTURES: Final = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""What clouds call a processor, and what wheels for it are called. Both clouds run glibc 2.28 or later."""

SERVICES: Final = ("dynamodb", "kms", "rds", "s3", "secretsmanager", "sqs", "ssm", "sts")
"""Those of AWS that the functions call; credentials may take the last."""

_EXAMPLE: Final = ("app", "container", "exchange", "mapping", "models", "processors")
_TRACES: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
_SOURCES: Final = (".c", ".h", ".pxd", ".pyi", ".pyx")  # of what is compiled already
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell
_LEVEL: Final = 6  # 9 takes four times as long, for one part in a hundred


@dataclass(frozen=True, slots=True)
class Platform:
    """What functions run on.

    Args:
        python: the version of the cloud's Python, such as ``3.11``.
        architecture: one of `ARCHITECTURES`.
    """

    python: str
    architecture: str = "x86_64"

    @property
    def of_wheels(self) -> tuple[str, ...]:
        """What tells uv."""
        return ("--python-version", self.python, "--python-platform", ARCHITECTURES[self.architecture])

    @property
    def is_pythons_own(self) -> bool:
        """Whether this Python's bytecode is that of functions."""
        return self.python == f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The example as one cloud loads it.

    Args:
        name: of the zip in ``dist/``.
        member: the package of the framework that adapts to the cloud.
        platform: what its functions usually run on.
        own: the cloud's own files, by their places in the zip.
        unpacked: where the cloud has the zip, as tracebacks show it.
        libraries: the folder of the zip that holds libraries.
    """

    name: str
    member: str
    platform: Platform
    own: Mapping[str, Path]
    unpacked: str
    libraries: str = "."

    @property
    def target(self) -> Path:
        """The zip, if nothing else is said."""
        return ROOT / "dist" / self.name

    def write(self, target: Path | None = None, platform: Platform | None = None) -> None:
        """Write the zip to *target*, for *platform* in place of the usual one."""
        target = self.target if target is None else target
        platform = self.platform if platform is None else platform
        with tempfile.TemporaryDirectory(prefix="orders-package-") as folder:
            content = Path(folder) / "content"
            self._install(content / self.libraries, Path(folder), platform)
            self._copy_example(content)
            pack(content, target, platform, unpacked=self.unpacked)

    def main(self) -> None:
        """Write the zip that the command line asks for."""
        usual = self.platform
        parser = argparse.ArgumentParser(description=f"Write dist/{self.name}.")
        parser.add_argument("--python", default=usual.python, help="version of the cloud's Python")
        parser.add_argument("--architecture", default=usual.architecture, choices=ARCHITECTURES)
        given = parser.parse_args()
        platform = Platform(given.python, given.architecture)
        self.write(platform=platform)
        size = f"{self.target.relative_to(ROOT)}: {self.target.stat().st_size / 1e6:.1f} MB"
        without = f"; without bytecode, which only a Python {platform.python} makes"
        bytecode = "" if platform.is_pythons_own else without
        sys.stdout.write(f"{size}, Python {platform.python}, {platform.architecture}{bytecode}\n")

    def _install(self, libraries: Path, scratch: Path, platform: Platform) -> None:
        """The libraries, every hash checked, and then our two packages."""
        members = [ROOT / "packages" / member for member in ("core", self.member)]
        locked = scratch / "requirements.txt"
        _uv(
            "pip", "compile", *(member / "pyproject.toml" for member in members), "--extra", "apis",
            "--extra", "postgres", "-c", ROOT / "requirements.lock", "--no-emit-package", "api-exchange-core",
            "--generate-hashes", *platform.of_wheels, "-o", locked,
        )  # fmt: skip
        into: tuple[str | Path, ...] = ("--target", libraries, *platform.of_wheels)
        _uv("pip", "install", "--require-hashes", "-r", locked, "--only-binary", ":all:", *into)
        wheels = scratch / "wheels"
        this_python: tuple[str | Path, ...] = ("--no-build-isolation", "--python", sys.executable)
        for member in members:
            _uv("build", "--wheel", *this_python, "--out-dir", wheels, member)
        _uv("pip", "install", "--no-deps", "--no-index", *sorted(wheels.glob("*.whl")), *into)
        shutil.rmtree(libraries / "bin", ignore_errors=True)

    def _copy_example(self, content: Path) -> None:
        for place, file in self.own.items():
            shutil.copy(file, content / place)
        orders = content / "examples" / "orders"
        orders.mkdir(parents=True)
        for name in _EXAMPLE:
            shutil.copy(ROOT / "examples" / "orders" / f"{name}.py", orders)


def pack(content: Path, target: Path, platform: Platform, *, unpacked: str) -> None:
    """Write what is installed in *content* as a zip, without what functions do not need and with bytecode."""
    for data in [content / sdk / "data" for sdk in ("boto3", "botocore")]:
        if data.is_dir():
            _leave_out_services(data)
    if platform.is_pythons_own:
        _compile(content, unpacked)
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for file in sorted(_needed(content)):
            entry = zipfile.ZipInfo(file.relative_to(content).as_posix(), _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def _leave_out_services(data: Path) -> None:
    for service in data.iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)


def _compile(content: Path, unpacked: str) -> None:
    """Bytecode that is loaded without a look at its source, whose time the zip does not tell."""
    subprocess.run(  # noqa: S603 - ours; in a process of its own, since bytes may differ with what a process has done
        [
            sys.executable, "-m", "compileall", "-qq", "-s", content, "-p", unpacked,
            "--invalidation-mode", "unchecked-hash", content,
        ],
        check=True,
    )  # fmt: skip


def _needed(content: Path) -> Iterator[Path]:
    for file in content.rglob("*"):
        is_trace = file.parent.suffix == ".dist-info" and file.name in _TRACES
        if file.is_file() and file.suffix not in _SOURCES and not is_trace:
            yield file


def _uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True)  # noqa: S603 - ours
