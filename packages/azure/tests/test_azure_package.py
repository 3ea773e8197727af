"""What there is of the package: it can be installed and imported, and costs nothing yet."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires


def test_importing_it_loads_no_sdk() -> None:
    code = "import api_exchange_azure, sys; print([m for m in sys.modules if m.split('.')[0] == 'azure'])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_it_builds_on_core_and_brings_the_sdk() -> None:
    needed = " ".join(requires("api-exchange-azure") or ())
    assert "api-exchange-core" in needed
    assert "azure" in needed
