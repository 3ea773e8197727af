"""Secrets of webhooks in a file: what is there now counts, and what cannot be read is no lack of secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_exchange_core.adapters.files.webhook_secrets import FileWebhookSecrets
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import TenantId

A = TenantId("customer-a")


def test_a_secret_is_in_force_once_it_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    secrets = FileWebhookSecrets(path)
    for written, wanted in (
        ('{"shop": {}}', []),
        ('{"shop": {"customer-a": ["new", "old"]}}', [b"new", b"old"]),
    ):
        path.write_text(written, encoding="utf-8")
        assert list(secrets.secrets_of(A, system="shop")) == wanted


def test_without_a_file_there_are_no_secrets() -> None:
    assert list(FileWebhookSecrets(None).secrets_of(A, system="shop")) == []


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"'.*/gone\.json' cannot be read: No such file"):
        FileWebhookSecrets(tmp_path / "gone.json").secrets_of(A, system="shop")


@pytest.mark.parametrize(
    "text", ["", "hunter2", '{"shop": "hunter2"}', '{"shop": {"customer-a": "hunter2"}}']
)
def test_a_file_of_another_form_is_told_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TransientError, match="are not as they have to be") as raised:
        FileWebhookSecrets(path).secrets_of(A, system="shop")
    assert "hunter2" not in str(raised.value)
