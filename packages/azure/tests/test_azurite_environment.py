"""What the installation of a stand-in trusts."""

from __future__ import annotations

import pytest

from packages.azure.tests.azurite.environment import trusting


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "--use-system-ca"),
        ({"NODE_OPTIONS": "--max-old-space-size=512"}, "--max-old-space-size=512 --use-system-ca"),
        ({"NODE_OPTIONS": "--use-system-ca"}, "--use-system-ca"),
        ({"NODE_OPTIONS": "--use-openssl-ca"}, "--use-openssl-ca"),
    ],
)
def test_node_trusts_what_the_machine_trusts_unless_somebody_chose(
    given: dict[str, str], expected: str
) -> None:
    assert trusting(given)["NODE_OPTIONS"] == expected


def test_what_somebody_set_is_kept() -> None:
    given = {"NODE_EXTRA_CA_CERTS": "/etc/ssl/own.pem", "UV_SYSTEM_CERTS": "0", "PATH": "/bin"}
    assert trusting(given) == {**given, "NODE_OPTIONS": "--use-system-ca"}
