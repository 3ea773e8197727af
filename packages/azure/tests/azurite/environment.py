"""Node and Azurite, installed on first use beside the environment that runs the tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_LOCKS: Final = (_HERE / "requirements.lock", _HERE / "package-lock.json")


class AzuriteUnavailableError(RuntimeError):
    """The stand-in for Azure Storage could not be installed here."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Where it is.

    Attributes:
        node: the program.
        azurite: the script that it runs.
    """

    node: Path
    azurite: Path


def installed() -> Installed:
    """Azurite as `package-lock.json` pins it, and the Node of a wheel, so that none has to be there.

    Raises:
        AzuriteUnavailableError: it could not be installed; says why.
    """
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in _LOCKS)).hexdigest()[:12]
    folder = Path(sys.prefix) / "stand-ins" / f"azurite-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    programs = folder / "venv" / "bin"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one installs
        if not (folder / "ready").exists():
            interpreter = programs / "python"
            _run(sys.executable, "-m", "uv", "venv", "--clear", "--python", sys.executable, folder / "venv")
            _run(
                *(sys.executable, "-m", "uv", "pip", "install", "--python", interpreter, "--require-hashes"),
                *("-r", _HERE / "requirements.lock"),
            )
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_HERE / name, folder / name)
            _run(programs / "npm", "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund")
            (folder / "ready").touch()
    return Installed(programs / "node", folder / "node_modules/azurite/dist/src/azurite.js")


def trusting(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment*, in which uv and Node trust what the machine trusts, as pip does: its own authorities included.

    What is set there already is kept: Node's authorities of ``NODE_EXTRA_CA_CERTS`` are trusted as well.
    """
    options = environment.get("NODE_OPTIONS", "").split()
    if not any(option.startswith(("--use-system-ca", "--use-openssl-ca")) for option in options):
        options.append("--use-system-ca")
    return {"UV_SYSTEM_CERTS": "1", **environment, "NODE_OPTIONS": " ".join(options)}


def _run(*command: str | Path) -> None:
    environment = trusting(os.environ) | {"UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise AzuriteUnavailableError(f"Azurite could not be installed: {said[-500:]}")
