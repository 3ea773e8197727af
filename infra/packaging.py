"""What a cloud loads of the example examples/orders: the example, the framework, and what they need, as it is locked.

The same sources give the same bytes: names are sorted, times and rights are fixed, and what says where and when
something was installed is left out. Libraries are wheels for the cloud's Python, not this machine's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[1]

_EXAMPLE: Final = ("app", "container", "exchange", "mapping", "models", "processors")
_LEFT_OUT: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A zip of the example for one cloud.

    Args:
        name: of the zip in ``dist/``.
        member: the package of the framework that adapts to the cloud.
        python: the cloud's version of Python, such as ``3.13``.
        platform: its platform, by a name that ``uv pip install --python-platform`` knows.
        own: the cloud's own files, by their places in the zip.
        libraries: the folder of the zip that holds libraries; the top if it is empty.
    """

    name: str
    member: str
    python: str
    platform: str
    own: Mapping[str, Path]
    libraries: str = ""

    def write(self) -> Path:
        """Write the zip, and say how large it is."""
        target = ROOT / "dist" / self.name
        with tempfile.TemporaryDirectory(prefix="orders-package-") as folder:
            content = Path(folder) / "content"
            self._install(content / self.libraries, Path(folder))
            self._copy_example(content)
            target.parent.mkdir(exist_ok=True)
            self._zip(content, target)
        sys.stdout.write(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB\n")
        return target

    def _install(self, libraries: Path, scratch: Path) -> None:
        """The libraries, every hash checked, and then our two packages."""
        members = [ROOT / "packages" / member for member in ("core", self.member)]
        cloud = ("--python-version", self.python, "--python-platform", self.platform)
        locked = scratch / "requirements.txt"
        _uv(
            "pip", "compile", *(member / "pyproject.toml" for member in members), "--extra", "apis",
            "--extra", "postgres", "-c", ROOT / "requirements.lock", "--no-emit-package", "api-exchange-core",
            "--generate-hashes", *cloud, "-o", locked,
        )  # fmt: skip
        only_wheels = ("--only-binary", ":all:", "--target", libraries, *cloud)
        _uv("pip", "install", "--require-hashes", "-r", locked, *only_wheels)
        wheels = scratch / "wheels"
        this_python = ("--no-build-isolation", "--python", sys.executable)
        for member in members:
            _uv("build", "--wheel", *this_python, "--out-dir", wheels, member)
        _uv("pip", "install", "--no-deps", "--no-index", *wheels.glob("*.whl"), *only_wheels)

    def _copy_example(self, content: Path) -> None:
        for place, file in self.own.items():
            shutil.copy(file, content / place)
        orders = content / "examples" / "orders"
        orders.mkdir(parents=True)
        for name in _EXAMPLE:
            shutil.copy(ROOT / "examples" / "orders" / f"{name}.py", orders)

    def _zip(self, content: Path, target: Path) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for place in sorted(self._places(content)):
                entry = zipfile.ZipInfo(place.as_posix(), _EPOCH)
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, (content / place).read_bytes())

    def _places(self, content: Path) -> Iterator[PurePosixPath]:
        for file in content.rglob("*"):
            is_trace = file.parent.suffix == ".dist-info" and file.name in _LEFT_OUT
            is_command = file.parent == content / self.libraries / "bin"
            if file.is_file() and not is_trace and not is_command and "__pycache__" not in file.parts:
                yield PurePosixPath(file.relative_to(content))


def _uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True)  # noqa: S603 - ours
