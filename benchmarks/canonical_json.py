"""What canonical JSON costs beside orjson, which makes no canonical promise, and beside other ways to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
import rfc8785

from api_exchange_core.adapters.json.canonical_encoder import OrjsonCanonicalEncoder
from api_exchange_core.domain.canonical_json import canonical_bytes
from benchmarks.measuring import Row, against, interleaved, show

REFERENCE = "orjson, keys sorted"


def order(*, optional: str | None = "n/a", gross: float = 371.85) -> dict[str, Any]:
    """An order of about 2 KB as a shop's API sends it.

    Args:
        optional: what fills the fields that a shop may leave empty.
        gross: the total; a whole number makes orjson write what RFC 8785 writes otherwise.
    """
    lines = [
        {
            "line": number,
            "sku": f"MUG-{1000 + number}-BLK",
            "title": f"Enamel mug, {number} dl, matte black",
            "quantity": number % 3 + 1,
            "unit_price": round(12.35 + number * 1.11, 2),
            "tax_rate": 0.19,
            "discount_code": optional if number % 2 else "SPRING",
            "fulfilment": {"warehouse": "WH-2", "bin": f"A-{number}-07"},
        }
        for number in range(1, 9)
    ]
    return {
        "id": "ord_8812731",
        "number": 100234,
        "created_at": "2025-03-01T09:15:27Z",
        "currency": "EUR",
        "express": True,
        "customer": {
            "id": "cus_99231",
            "name": "Jörg Müller",
            "email": "joerg@example.org",
            "vat_id": optional,
        },
        "shipping_address": {
            "street": "Am Kupfergraben 6",
            "zip": "10117",
            "city": "Berlin",
            "state": optional,
        },
        "phone": "+49 30 1234567",
        "lines": lines,
        "totals": {"net": 312.48, "tax": 59.37, "gross": gross},
        "tags": ["web", "b2c", "repeat"],
        "note": "Please ring twice; the bell is on the left.",
    }


def hashed(encode: Callable[[object], bytes]) -> Callable[[object], str]:
    """*encode*, and SHA-256 of what it wrote."""
    return lambda value: hashlib.sha256(encode(value)).hexdigest()


ENCODERS: Mapping[str, Callable[[Any], bytes]] = {
    REFERENCE: lambda value: orjson.dumps(value, option=orjson.OPT_SORT_KEYS),
    "OrjsonCanonicalEncoder": OrjsonCanonicalEncoder(),
    "canonical_bytes (pure Python)": canonical_bytes,
    "json.dumps(sort_keys=True)": lambda value: json.dumps(
        value, sort_keys=True, ensure_ascii=False
    ).encode(),
    "rfc8785": rfc8785.dumps,
}


def measure(value: dict[str, Any], *, hashing: bool = False) -> list[Row]:
    """Microseconds to encode *value*, or to encode and hash it; the ratio is to orjson."""
    calls: dict[str, Callable[[], object]] = {
        name: partial(hashed(encode) if hashing else encode, value) for name, encode in ENCODERS.items()
    }
    return against(REFERENCE, interleaved(calls, rounds=31, number=200))


def main() -> None:
    """Print the report."""
    plain, with_nulls = order(), order(optional=None)
    size = len(canonical_bytes(plain))
    show(f"Canonical JSON of an order of {size} bytes", measure(plain))
    show("... with nulls", measure(with_nulls))
    show("... with nulls and a whole float", measure(order(optional=None, gross=372.0)))
    show("Canonical JSON and SHA-256 of it", measure(plain, hashing=True))
    show("... with nulls", measure(with_nulls, hashing=True))


if __name__ == "__main__":
    main()
