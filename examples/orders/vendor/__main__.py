"""``python -m examples.orders.vendor``: the shop's API alone, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import threading
from pathlib import Path

from examples.orders.vendor.server import VendorApi


def main() -> None:
    """Serve until interrupted. The credentials lie in files for this user alone, and go at the end."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders.vendor", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, for any free one")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="shop-credentials-") as folder,
        VendorApi(port=arguments.port) as vendor,
    ):
        print(f"The shop's API answers at {vendor.url}")
        for tenant in vendor.tenants:
            print(f"  {tenant} signs in with {_written(vendor, tenant, Path(folder))}")
        print("Ctrl-C stops it and removes these files.", flush=True)
        _wait_for_interrupt()


def _written(vendor: VendorApi, tenant: str, folder: Path) -> Path:
    file = folder / f"{tenant}.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(vendor.credentials(tenant)._asdict()), encoding="utf-8")
    return file


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        # A second Ctrl-C would break off the clean-up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main()
