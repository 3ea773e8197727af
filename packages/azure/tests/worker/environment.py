"""The library of the Python worker, installed on first use beside the environment that runs the tests."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

_LOCK: Final = Path(__file__).parent / "requirements.lock"


class WorkerUnavailableError(RuntimeError):
    """The worker's library could not be installed here."""


def library() -> Path:
    """The folder to put on the path, beside the project's own environment, whose azure-functions it uses.

    The library says that it needs Python 3.13, where Azure uses it. It runs on those before, with the azure-functions
    of theirs; so the tests run on each.

    Raises:
        WorkerUnavailableError: it could not be installed; says why.
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / "stand-ins" / f"functions-worker-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one installs
        if not (folder / "ready").exists():
            done = subprocess.run(
                [
                    *(
                        sys.executable,
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--no-deps",
                        "--ignore-requires-python",
                    ),
                    *("--require-hashes", "-r", _LOCK, "--target", folder / "library"),
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                raise WorkerUnavailableError(
                    f"azure-functions-runtime could not be installed: {done.stderr.strip()[-500:]}"
                )
            (folder / "ready").touch()
    return folder / "library"
