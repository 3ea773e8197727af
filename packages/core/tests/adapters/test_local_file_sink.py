"""Output files on the local disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId

A = TenantId("customer-a")


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    sink = LocalFileSink(tmp_path)
    sink.append(A, "exports/orders.jsonl", [b'{"n":1}', b'{"n":2}'])
    sink.append(A, "exports/orders.jsonl", [b'{"n":3}'])
    assert (tmp_path / "customer-a/exports/orders.jsonl").read_bytes() == b'{"n":1}\n{"n":2}\n{"n":3}\n'


def test_each_tenant_has_a_folder_of_its_own(tmp_path: Path) -> None:
    sink = LocalFileSink(tmp_path)
    sink.append(A, "orders.jsonl", [b"a"])
    sink.append(TenantId("customer-b"), "orders.jsonl", [b"b"])
    assert (tmp_path / "customer-a/orders.jsonl").read_bytes() == b"a\n"
    assert (tmp_path / "customer-b/orders.jsonl").read_bytes() == b"b\n"


@pytest.mark.parametrize("name", ["../customer-b/orders.jsonl", "/etc/x", "a/../../x", "."])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError, match="leave the folder"):
        LocalFileSink(tmp_path / "root").append(A, name, [b"x"])
    assert not (tmp_path / "root").exists()


def test_a_link_does_not_lead_out_of_the_folder_either(tmp_path: Path) -> None:
    (tmp_path / "root/customer-a").mkdir(parents=True)
    (tmp_path / "root/customer-a/link").symlink_to(tmp_path)
    with pytest.raises(PermanentError, match="leave the folder"):
        LocalFileSink(tmp_path / "root").append(A, "link/orders.jsonl", [b"x"])


@pytest.mark.parametrize("torn", [b'{"n":2', b"x" * 200_000], ids=["short", "longer than one read"])
def test_a_line_that_a_dying_process_left_unfinished_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    sink = LocalFileSink(tmp_path)
    sink.append(A, "orders.jsonl", [b'{"n":1}'])
    with (tmp_path / "customer-a/orders.jsonl").open("ab") as file:
        file.write(torn)
    sink.append(A, "orders.jsonl", [b'{"n":3}'])
    assert (tmp_path / "customer-a/orders.jsonl").read_bytes() == b'{"n":1}\n{"n":3}\n'


def test_a_line_holds_no_line_break(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="line break"):
        LocalFileSink(tmp_path).append(A, "orders.jsonl", [b"a\nb"])


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    sinks = [LocalFileSink(tmp_path) for _ in range(4)]
    line = b"x" * 10_000
    threads = [
        threading.Thread(target=lambda s=sink: [s.append(A, "o.jsonl", [line]) for _ in range(20)])
        for sink in sinks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / "customer-a/o.jsonl").read_bytes().splitlines()
    assert len(lines) == 80
    assert set(lines) == {line}


def test_a_folder_that_cannot_be_written_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "customer-a").write_text("a file where the folder should be")
    with pytest.raises(TransientError, match="customer-a"):
        LocalFileSink(tmp_path).append(A, "orders.jsonl", [b"x"])


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    LocalFileSink(tmp_path).append(A, "orders.jsonl", [b"x"])
    assert (tmp_path / "customer-a/orders.jsonl").stat().st_mode & 0o077 == 0


def test_every_folder_that_it_makes_is_for_its_owner_only(tmp_path: Path) -> None:
    LocalFileSink(tmp_path / "output").append(A, "exports/2026/orders.jsonl", [b"x"])
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "output").rglob("*")}
    modes["output"] = (tmp_path / "output").stat().st_mode & 0o077
    assert modes == dict.fromkeys(["output", "customer-a", "exports", "2026", "orders.jsonl"], 0)
