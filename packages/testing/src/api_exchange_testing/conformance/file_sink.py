"""What every `FileSink` does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, OTHER_TENANT, TENANT
from api_exchange_testing.conformance._threads import THREADS, all_at_once
from api_exchange_testing.conformance.suite import Suite

Read = Callable[[TenantId, str], bytes]
"""The bytes of a tenant's file as a reader finds them; empty if there is none. Not through the sink."""

_NAME = "exports/orders.jsonl"


class FileSinkSuite(Suite):
    """Needs a fixture `sink` that returns an empty `FileSink`, and a fixture `read` that returns a `Read`."""

    def test_lines_are_appended_in_order(self, sink: FileSink, read: Read) -> None:
        sink.append(TENANT, _NAME, [b'{"a":1}', b'{"a":2}'])
        sink.append(TENANT, _NAME, [b'{"a":3}'])
        assert read(TENANT, _NAME) == b'{"a":1}\n{"a":2}\n{"a":3}\n'

    def test_the_same_lines_again_are_appended_again(self, sink: FileSink, read: Read) -> None:
        for _ in range(2):
            sink.append(TENANT, _NAME, [b"{}"])
        assert read(TENANT, _NAME) == b"{}\n{}\n"

    def test_names_and_lines_of_every_script_go_through(self, sink: FileSink, read: Read) -> None:
        name, line = f"{EVERY_SCRIPT}/{EVERY_SCRIPT}.jsonl", f'"{EVERY_SCRIPT}\u2028"'.encode()
        sink.append(TENANT, name, [line])
        assert read(TENANT, name) == line + b"\n"

    def test_a_large_batch_is_kept_whole(self, sink: FileSink, read: Read) -> None:
        lines = [b"%d:" % number + b"x" * 1_000 for number in range(1_000)]
        sink.append(TENANT, _NAME, lines)
        assert read(TENANT, _NAME).split(b"\n") == [*lines, b""]

    def test_no_lines_change_nothing(self, sink: FileSink, read: Read) -> None:
        sink.append(TENANT, _NAME, [b"{}"])
        sink.append(TENANT, _NAME, [])
        assert read(TENANT, _NAME) == b"{}\n"

    def test_files_are_kept_apart(self, sink: FileSink, read: Read) -> None:
        sink.append(TENANT, "orders.jsonl", [b"1"])
        sink.append(TENANT, "exports/orders.jsonl", [b"2"])
        assert (read(TENANT, "orders.jsonl"), read(TENANT, "exports/orders.jsonl")) == (b"1\n", b"2\n")

    def test_files_of_two_tenants_are_kept_apart(self, sink: FileSink, read: Read) -> None:
        sink.append(TENANT, _NAME, [b"mine"])
        assert read(OTHER_TENANT, _NAME) == b""
        sink.append(OTHER_TENANT, _NAME, [b"theirs"])
        assert (read(TENANT, _NAME), read(OTHER_TENANT, _NAME)) == (b"mine\n", b"theirs\n")

    @pytest.mark.parametrize(
        "name",
        [f"../{OTHER_TENANT}/{_NAME}", f"x/../../{OTHER_TENANT}/{_NAME}", "/orders.jsonl", "..", ".", ""],
    )
    def test_no_name_leads_out_of_the_tenants_folder(self, sink: FileSink, read: Read, name: str) -> None:
        with pytest.raises(PermanentError):
            sink.append(TENANT, name, [b"{}"])
        assert read(OTHER_TENANT, _NAME) == b""

    def test_all_files_of_one_tenant_are_erased(self, sink: FileSink, read: Read) -> None:
        for tenant in (TENANT, OTHER_TENANT):
            sink.append(tenant, _NAME, [b"1"])
            sink.append(tenant, "exports/deeper/orders.jsonl", [b"2"])
            sink.append(tenant, "orders.jsonl", [b"3"])
        assert sink.erase(TENANT) == 3
        assert read(TENANT, _NAME) == read(TENANT, "orders.jsonl") == b""
        assert read(OTHER_TENANT, _NAME) == b"1\n"
        assert sink.erase(TENANT) == 0

    def test_after_erasing_files_begin_anew(self, sink: FileSink, read: Read) -> None:
        sink.append(TENANT, _NAME, [b"old"])
        sink.erase(TENANT)
        sink.append(TENANT, _NAME, [b"new"])
        assert read(TENANT, _NAME) == b"new\n"

    def test_readers_see_whole_lines_only_while_many_append(self, sink: FileSink, read: Read) -> None:
        each = 20
        lines = {thread: b"%d:" % thread + b"x" * 5_000 for thread in range(THREADS)}

        def append_and_read(thread: int) -> list[bytes]:
            seen = []
            for _ in range(each):
                sink.append(TENANT, _NAME, [lines[thread]])
                seen.append(read(TENANT, _NAME))
            return seen

        snapshots = [seen for thread in all_at_once(append_and_read) for seen in thread]
        whole = [line for snapshot in snapshots for line in snapshot.split(b"\n")[:-1]]
        assert set(whole) == set(lines.values())
        assert sorted(read(TENANT, _NAME).split(b"\n")[:-1]) == sorted(each * list(lines.values()))
