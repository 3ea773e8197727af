"""What a stranger installs: the wheels as built, in an environment where the sources are not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[3]
PACKAGES = ["api_exchange_aws", "api_exchange_azure", "api_exchange_core", "api_exchange_testing"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
    "UV_PYTHON_DOWNLOADS": "never",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each package, built from this tree with the pinned build backend."""
    out = tmp_path_factory.mktemp("dist")
    arguments = ("--all-packages", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(out))
    run(find_uv_bin(), "build", *arguments, cwd=ROOT)
    return {path.name.split("-")[0]: path for path in out.glob("*.whl")}


def test_each_package_has_a_wheel(wheels: dict[str, Path]) -> None:
    assert sorted(wheels) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_holds_its_package_and_that_it_is_typed_and_no_tests(
    wheels: dict[str, Path], package: str
) -> None:
    with ZipFile(wheels[package]) as wheel:
        names = wheel.namelist()
    assert f"{package}/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {package}
    assert [name for name in names if "tests" in name.split("/") or Path(name).name == "conftest.py"] == []


def test_the_installed_package_imports_without_the_sources(wheels: dict[str, Path], tmp_path: Path) -> None:
    installed = install([f"{wheels['api_exchange_core']}[local]"], tmp_path / "venv")
    where = installed.python("import api_exchange_core; print(api_exchange_core.__file__)")
    assert Path(where).is_relative_to(installed.folder)


def test_a_new_project_passes_its_tests_and_runs_with_what_the_wheels_brought(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    own = [f"{wheels['api_exchange_core']}[local]", str(wheels["api_exchange_testing"])]
    installed = install(own, tmp_path / "venv")
    run(str(installed.program("api-exchange")), "new", "shop", cwd=tmp_path)
    project = tmp_path / "shop"
    tested = run(str(installed.program("python")), "-m", "pytest", "-q", cwd=project)
    assert "3 passed" in tested
    run(str(installed.program("api-exchange")), "check", "shop.exchange:exchange", cwd=project)

    ran = subprocess.Popen(
        [installed.program("api-exchange"), "run", "shop.exchange:exchange", "--tick-now"],
        cwd=project,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    with ran:
        assert ran.stderr is not None
        routed = 0
        for line in ran.stderr:
            routed += '"function":"route-orders"' in line and '"outcome":"completed"' in line
            if routed == 6:  # three orders of two tenants
                ran.terminate()
                break
        ran.stderr.read()
    assert (routed, ran.returncode) == (6, 0)


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that holds wheels and their pinned dependencies, and nothing of this tree."""

    folder: Path

    def program(self, name: str) -> Path:
        """A program that the wheels brought, such as ``api-exchange``."""
        return self.folder / "bin" / name

    def python(self, code: str) -> str:
        """What *code* prints there, run away from the sources."""
        return run(str(self.program("python")), "-c", code, cwd=self.folder).strip()


def install(requirements: list[str], folder: Path) -> Installed:
    """Install wheel files, and what they need in the versions of requirements.lock."""
    uv = find_uv_bin()
    run(uv, "venv", "--python", sys.executable, str(folder), cwd=ROOT)
    where = ("--python", str(folder / "bin" / "python"))
    run(uv, "pip", "install", *where, "--constraint", "requirements.lock", *requirements, cwd=ROOT)
    return Installed(folder)


def run(*command: str, cwd: Path) -> str:
    """What *command* prints; its errors are in the failure."""
    finished = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=110)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout}{finished.stderr}"
    return finished.stdout
