from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from examples.orders.vendor import Credentials, VendorApi

ROOT = Path(__file__).parents[3]


def test_nothing_is_left_when_the_block_ends() -> None:
    threads = set(threading.enumerate())
    with VendorApi() as vendor, httpx.Client(base_url=vendor.url) as client:
        assert client.get("/v1/orders").status_code == 401
    assert [thread for thread in set(threading.enumerate()) - threads if thread.name == "vendor-api"] == []
    port = httpx.URL(vendor.url).port
    assert port is not None
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def test_a_port_that_is_taken_is_said_at_the_start(vendor: VendorApi) -> None:
    port = httpx.URL(vendor.url).port
    assert port is not None
    with pytest.raises(OSError, match="in use"), VendorApi(port=port):
        pass


def test_requests_are_counted_by_path_whatever_becomes_of_them(http: httpx.Client, vendor: VendorApi) -> None:
    before = vendor.requests.get("/v1/orders", 0), vendor.requests.get("/nowhere", 0)
    http.get("/v1/orders?limit=7")
    http.get("/nowhere")
    assert (vendor.requests["/v1/orders"], vendor.requests["/nowhere"]) == (before[0] + 1, before[1] + 1)


def test_requests_leave_no_log_lines(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        http.get("/v1/orders")
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_credentials_are_made_anew_for_each_run_and_keep_their_secret_from_reprs() -> None:
    first, second = VendorApi().credentials("customer-a"), VendorApi().credentials("customer-a")
    assert first.client_id != second.client_id
    assert first.client_secret != second.client_secret
    assert first.client_secret not in f"{first} {first!r}"


def test_a_tenant_without_an_account_is_named_with_those_that_have_one(vendor: VendorApi) -> None:
    with pytest.raises(LookupError, match=r"'customer-c' .* customer-a, customer-b"):
        vendor.credentials("customer-c")


def test_run_alone_it_prints_where_it_answers_and_removes_its_credentials_at_the_end() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.orders.vendor"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[-1]
        file = Path(process.stdout.readline().split()[-1])
        credentials = Credentials(**json.loads(file.read_text(encoding="utf-8")))
        assert file.stat().st_mode & 0o077 == 0
        grant = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{url}/oauth/token", data=grant, auth=credentials, trust_env=False)
        assert answer.json()["token_type"] == "Bearer"
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert not file.parent.exists()
