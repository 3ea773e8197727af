"""The virtual environment that ministack runs in, made on first use beside the one that runs the tests."""

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


def python() -> Path:
    """The interpreter of the environment, which has exactly what `requirements.lock` pins.

    Raises:
        MinistackUnavailableError: it could not be installed; says why.
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / "stand-ins" / f"ministack-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one installs
        ready, interpreter = folder / "ready", folder / "venv" / "bin" / "python"
        if not ready.exists():
            _run("venv", "--clear", "--python", sys.executable, folder / "venv")
            _run("pip", "install", "--python", interpreter, "--require-hashes", "-r", _LOCK)
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
        raise MinistackUnavailableError(f"ministack could not be installed: {done.stderr.strip()}")
