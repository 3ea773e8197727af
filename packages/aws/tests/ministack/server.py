"""ministack, which plays most of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from packages.aws.tests.stand_in import ACCOUNT as ACCOUNT
from packages.aws.tests.stand_in import REGION as REGION
from packages.aws.tests.stand_in import StandIn


class Ministack(StandIn):
    """One running ministack."""

    NAME = "ministack"
    LOCK = Path(__file__).parent / "requirements.lock"
    PROGRAM = Path(__file__).parent / "serve.py"
    HEALTH = "/_ministack/health"
    RESET = "/_ministack/reset"

    @classmethod
    @override
    def settings(cls, port: int, folder: Path) -> Mapping[str, str]:
        return {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",  # or it listens on every address for MQTT
            "LOG_LEVEL": "WARNING",
            "STATE_DIR": str(folder / "state"),
            "S3_DATA_DIR": str(folder / "s3"),
        }
