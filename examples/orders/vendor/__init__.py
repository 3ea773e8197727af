"""The API of a shop, played by a small HTTP server on loopback with real orders behind it."""

from examples.orders.vendor.faults import Fault
from examples.orders.vendor.oauth import Credentials
from examples.orders.vendor.server import VendorApi

__all__ = ["Credentials", "Fault", "VendorApi"]
