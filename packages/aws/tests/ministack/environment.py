"""The virtual environment that a stand-in runs in, made on first use beside the one that runs the tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_LOCK: Final = Path(__file__).parent / "requirements.lock"


class MinistackUnavailableError(RuntimeError):
    """The stand-in for AWS could not be installed here."""


def python(name: str = "ministack", lock: Path = _LOCK) -> Path:
    """The interpreter of the environment, which has exactly what *lock* pins.

    Raises:
        MinistackUnavailableError: it could not be installed; says why.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / "stand-ins" / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # of several test processes one installs
        ready, interpreter = folder / "ready", folder / "venv" / "bin" / "python"
        if not ready.exists():
            _run("venv", "--clear", "--python", sys.executable, folder / "venv")
            _run("pip", "install", "--python", interpreter, "--require-hashes", "-r", lock)
            ready.touch()
    return interpreter


def _run(*arguments: str | Path) -> None:
    environment = {"UV_SYSTEM_CERTS": "1"} | os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments, "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        raise MinistackUnavailableError(f"the stand-in for AWS could not be installed: {done.stderr.strip()}")
