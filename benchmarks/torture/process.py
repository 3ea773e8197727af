"""A process of the application, to be killed at any moment."""

from __future__ import annotations

import threading

from api_exchange_core.adapters.system.clock import SystemClock
from benchmarks.torture.exchange import Trouble, declared
from benchmarks.torture.machine import Parts, Place, engines_of
from benchmarks.torture.planted import plant
from benchmarks.torture.tally import FileTally


def work(place: Place, trouble: Trouble, bug: str | None) -> None:
    """Work until killed; with a planted *bug*, if one is named."""
    parts = Parts(place, *engines_of(place), SystemClock())
    if bug is not None:
        plant(bug, parts)
    parts.runner(declared(trouble), FileTally(place.folder)).start()
    threading.Event().wait()
