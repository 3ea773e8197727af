"""moto, a second opinion on what AWS does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from packages.aws.tests.stand_in import ACCOUNT, StandIn


class Moto(StandIn):
    """One running moto."""

    NAME = "moto"
    LOCK = Path(__file__).parent / "requirements.lock"
    PROGRAM = Path(__file__).parent / "serve.py"
    HEALTH = "/moto-api/data.json"
    RESET = "/moto-api/reset"

    @classmethod
    @override
    def settings(cls, port: int, folder: Path) -> Mapping[str, str]:
        return {"MOTO_PORT": str(port), "MOTO_ACCOUNT_ID": ACCOUNT}
