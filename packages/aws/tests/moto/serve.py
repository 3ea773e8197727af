"""Runs moto in its own environment, for as long as whoever started it lives.

Standard input is a pipe from the tests. A line with a number lets so many seconds pass; its end, however it comes
about, ends this process and takes its folder away. Nothing but moto and the standard library can be imported here.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from moto.core import utils  # type: ignore[import-not-found]  # it is in the environment that runs this alone

_now: Callable[[], datetime] = utils.utcnow
_passed = timedelta(0)


def _shifted() -> datetime:
    return _now() + _passed


def _obey() -> None:
    global _passed
    for line in sys.stdin:
        _passed += timedelta(seconds=float(line))
        print(_passed.total_seconds(), file=_ANSWERS, flush=True)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os._exit(0)


# Whatever else the program prints is kept apart from the answers.
_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
utils.utcnow = _shifted  # before anything else of moto takes it from there
logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or each request is a line
threading.Thread(target=_obey, daemon=True).start()

# Only now is its clock the one that is advanced.
from moto.moto_server import werkzeug_app  # type: ignore[import-not-found]  # noqa: E402
from werkzeug.serving import run_simple  # noqa: E402

_app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
_turn = threading.Lock()


def _one_at_a_time(environ: Any, start_response: Any) -> Any:
    """DynamoDB's conditional writes are atomic, and moto's are not between its threads."""
    with _turn:
        return _app(environ, start_response)


run_simple(
    "127.0.0.1",
    int(os.environ["MOTO_PORT"]),
    _one_at_a_time,
    threaded=True,
    request_handler=werkzeug_app.MotoRequestHandler,
)
