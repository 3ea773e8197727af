"""The broker as a program, and what starting and stopping one means."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import timedelta

import pytest

from api_exchange_testing.servicebus import Policy, RefusedError, ServiceBusBroker

PROGRAM = [sys.executable, "-m", "api_exchange_testing.servicebus"]


def is_listening(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_the_program_tells_its_connection_string_and_ends_when_told_to() -> None:
    program = subprocess.Popen(
        [*PROGRAM, "--queue", "q", "--topic", "t=a,b"], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    told = program.stdout.readline()
    assert told.startswith("Endpoint=sb://127.0.0.1:")
    assert is_listening(int(told.partition(";")[0].rpartition(":")[2]))
    program.terminate()
    program.communicate()
    assert program.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--queue", "$q"], "no name"), (["--lock-duration", "900", "--queue", "q"], "up to")],
)
def test_the_program_says_what_is_wrong_with_its_arguments(arguments: list[str], reason: str) -> None:
    run = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert reason in run.stderr


def test_nobody_listens_any_more_when_a_broker_has_stopped() -> None:
    with ServiceBusBroker(["q"]) as broker:
        port = broker.port
        assert is_listening(port)
    assert not is_listening(port)
    broker.stop()
    assert broker.messages("q") == ()


def test_a_port_that_is_taken_is_told_at_the_start() -> None:
    with ServiceBusBroker(["q"]) as broker, pytest.raises(OSError, match=r"in use|permitted"):
        ServiceBusBroker(["q"], port=broker.port).start()


def test_brokers_stand_side_by_side() -> None:
    with ServiceBusBroker(["q"]) as one, ServiceBusBroker(["q"]) as other:
        assert one.port != other.port


def test_a_broker_that_was_not_started_says_so_and_starts_once() -> None:
    broker = ServiceBusBroker(["q"])
    with pytest.raises(RuntimeError, match="not started"):
        broker.messages("q")
    with broker, pytest.raises(RuntimeError, match="started before"):
        broker.start()


def test_what_a_test_asks_wrongly_is_raised_where_it_asks() -> None:
    with ServiceBusBroker(["q"]) as broker:
        with pytest.raises(RefusedError, match="there are q"):
            broker.messages("p")
        with pytest.raises(ValueError, match="does not go back"):
            broker.advance(timedelta(seconds=-1))
        with pytest.raises(ValueError, match="number of times"):
            broker.faults.throttle(-1)
    with pytest.raises(ValueError, match="lets nobody in"):
        ServiceBusBroker(["q"], policies=[])
    with pytest.raises(ValueError, match="without ';'"):
        Policy("p", "a;b")


def test_bytes_that_are_no_amqp_do_no_harm() -> None:
    with ServiceBusBroker(["q"]) as broker:
        with socket.create_connection(("127.0.0.1", broker.port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            stranger.settimeout(5)
            while stranger.recv(4096):
                pass
        assert is_listening(broker.port)


def test_a_package_that_names_the_broker_loads_no_amqp() -> None:
    program = "import sys, api_exchange_testing.servicebus; print('proton' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
