"""`make package-aws`: what Lambda loads, as a zip: the example, the framework, and what they need, as it is locked.

The same sources give the same bytes: names are sorted, times and rights are fixed, and what says where and when
something was installed is left out. Libraries are the wheels for Lambda's Python 3.11 on x86_64, not this machine's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "dist" / "orders-aws.zip"

_PLATFORM: Final = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux2014")
_MEMBERS: Final = ("core", "aws")
_EXAMPLE: Final = ("app", "container", "exchange", "mapping", "models", "processors")
_LEFT_OUT: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell


def main() -> None:
    """Write the zip."""
    with tempfile.TemporaryDirectory(prefix="orders-aws-") as folder:
        content = Path(folder) / "content"
        _install(content, Path(folder))
        _copy_example(content)
        TARGET.parent.mkdir(exist_ok=True)
        _zip(content, TARGET)
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1e6:.1f} MB\n")


def _install(content: Path, scratch: Path) -> None:
    """The libraries, every hash checked, and then our two packages."""
    locked = scratch / "requirements.txt"
    wanted = [ROOT / "packages" / member / "pyproject.toml" for member in _MEMBERS]
    _uv(
        "pip", "compile", *wanted, "--extra", "apis", "--extra", "postgres", "-c", ROOT / "requirements.lock",
        "--no-emit-package", "api-exchange-core", "--generate-hashes", *_PLATFORM, "-o", locked,
    )  # fmt: skip
    only_wheels = ("--only-binary", ":all:", "--target", content, *_PLATFORM)
    _uv("pip", "install", "--require-hashes", "-r", locked, *only_wheels)
    members = [ROOT / "packages" / member for member in _MEMBERS]
    wheels = scratch / "wheels"
    for member in members:
        _uv(
            "build",
            "--wheel",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "--out-dir",
            wheels,
            member,
        )
    _uv("pip", "install", "--no-deps", "--no-index", *wheels.glob("*.whl"), *only_wheels)


def _copy_example(content: Path) -> None:
    shutil.copy(Path(__file__).parent / "lambda_app.py", content)
    orders = content / "examples" / "orders"
    orders.mkdir(parents=True)
    for name in _EXAMPLE:
        shutil.copy(ROOT / "examples" / "orders" / f"{name}.py", orders)


def _zip(content: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(_files(content)):
            entry = zipfile.ZipInfo(file.relative_to(content).as_posix(), _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def _files(content: Path) -> Iterator[Path]:
    for file in content.rglob("*"):
        is_trace = file.parent.suffix == ".dist-info" and file.name in _LEFT_OUT
        if (
            file.is_file()
            and not is_trace
            and "__pycache__" not in file.parts
            and file.parent != content / "bin"
        ):
            yield file


def _uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True)  # noqa: S603 - ours


if __name__ == "__main__":
    main()
