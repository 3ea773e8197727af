"""Secrets as container platforms mount them, and which source a machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_exchange_core.adapters.system.secret_source import (
    EnvironmentSecretSource,
    FolderSecretSource,
    secret_source,
)


def test_a_secret_that_the_platform_replaces_by_a_link_is_read_anew(tmp_path: Path) -> None:
    """As Kubernetes does: files are links through ``..data``, which is renamed over."""
    for version in ("..one", "..two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "KEYS").write_bytes(version.encode())
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "KEYS").symlink_to("..data/KEYS")
    source = FolderSecretSource(tmp_path)
    assert source.secret("KEYS") == b"..one"
    (tmp_path / "next").symlink_to("..two")
    (tmp_path / "next").rename(tmp_path / "..data")
    assert source.secret("KEYS") == b"..two"


def test_a_folder_that_is_not_there_or_holds_a_folder_of_that_name_has_no_such_secret(tmp_path: Path) -> None:
    (tmp_path / "KEYS").mkdir()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LookupError, match=f"'KEYS' in the folder '{folder}' cannot be read"):
            FolderSecretSource(folder).secret("KEYS")


def test_bytes_that_are_no_text_are_given_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "KEYS").write_bytes(b"\xff\0\x80")
    assert FolderSecretSource(tmp_path).secret("KEYS") == b"\xff\0\x80"
    monkeypatch.setenv("KEYS", "\udcff\udc80")  # what Python makes of such bytes in an environment
    assert EnvironmentSecretSource().secret("KEYS") == b"\xff\x80"


def test_a_machine_reads_its_folder_if_it_has_one_and_else_its_environment(tmp_path: Path) -> None:
    assert secret_source(tmp_path) == FolderSecretSource(tmp_path)
    assert isinstance(secret_source(None), EnvironmentSecretSource)
