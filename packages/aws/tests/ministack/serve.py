"""Runs ministack in its own environment, for as long as whoever started it lives.

Standard input is a pipe from the tests. A line with a number lets so many seconds pass, also for what sleeps: schedules
fire. Its end, however it comes about, ends this process and takes its folder away. Nothing but ministack and the
standard library can be imported here.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import threading
import time
from typing import SupportsIndex

_now = time.time
_sleep = time.sleep
_passed = 0.0
_time_passes = threading.Condition()


def _shifted() -> float:
    return _now() + _passed


def _sleep_shifted(seconds: float | SupportsIndex) -> None:
    length = float(seconds)
    if length <= 0:
        _sleep(length)
        return
    until = _shifted() + length
    with _time_passes:
        while (left := until - _shifted()) > 0:
            _time_passes.wait(left)


def _obey() -> None:
    global _passed
    for line in sys.stdin:
        with _time_passes:
            _passed += float(line)
            _time_passes.notify_all()
        print(_passed, file=_ANSWERS, flush=True)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os._exit(0)


# Whatever else the program prints is kept apart from the answers.
_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
time.time = _shifted
time.sleep = _sleep_shifted
threading.Thread(target=_obey, daemon=True).start()

runpy.run_module("ministack", run_name="__main__")
