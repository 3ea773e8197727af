"""The host that the demo and tests play does with messages as Azure's does, by its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import List  # noqa: UP035 - the programming model knows no list[...]

import azure.functions as func
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from api_exchange_testing.servicebus import Queue, ServiceBusBroker
from packages.azure.tests.host import FunctionsHost


class Application:
    """An app of one function, which keeps what it is handed and raises when it is told to."""

    def __init__(self) -> None:
        self.handed: list[list[func.ServiceBusMessage]] = []
        self.fired = 0
        self.raises = False

    def app(self) -> func.FunctionApp:
        app = func.FunctionApp()

        @app.function_name("run-orders")
        @app.service_bus_queue_trigger(
            arg_name="messages",
            connection="BUS",
            queue_name="orders",
            data_type=func.DataType.BINARY,
            cardinality=func.Cardinality.MANY,
        )
        def run(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006
            self.handed.append(messages)
            if self.raises:
                raise RuntimeError("told to")

        @app.function_name("tick-orders")
        @app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
        def tick(timer: func.TimerRequest) -> None:
            assert not timer.past_due
            self.fired += 1

        return app


@pytest.fixture(scope="module")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker(queues=[Queue("orders", max_delivery_count=2)]) as broker:
        yield broker


@pytest.fixture(scope="module")
def application() -> Application:
    return Application()


@pytest.fixture(scope="module")
def host(broker: ServiceBusBroker, application: Application) -> Iterator[FunctionsHost]:
    with ServiceBusClient.from_connection_string(broker.connection_string) as client:
        with client.get_queue_sender("orders") as sender:
            properties: dict[str | bytes, object] = {"kind": "express", "lines": 3}
            message = ServiceBusMessage(b"\x00\xff", message_id="m-1", application_properties=properties)  # type: ignore[arg-type]  # the library's dict is invariant
            sender.send_messages([message, ServiceBusMessage(b"two")])
        host = FunctionsHost(application.app(), client, batch=10, wait=1.0)
        yield host
        host.close()


def test_a_timer_is_fired(host: FunctionsHost, application: Application) -> None:
    host.fire("tick-orders")
    assert application.fired == 1


def test_what_a_function_raises_on_comes_again_and_what_it_returns_from_is_gone(
    host: FunctionsHost, application: Application, broker: ServiceBusBroker
) -> None:
    application.raises = True
    assert host.poll("run-orders") == 2
    assert [stored.delivery_count for stored in broker.messages("orders")] == [1, 1]

    application.raises = False
    assert host.poll("run-orders") == 2
    assert broker.messages("orders") == broker.dead_letters("orders") == ()

    first, again = application.handed
    assert [one.get_body() for one in first] == [b"\x00\xff", b"two"]
    assert [one.delivery_count for one in (*first, *again)] == [1, 1, 2, 2]
    assert (first[0].message_id, first[0].application_properties) == ("m-1", {"kind": "express", "lines": 3})
    assert first[0].enqueued_time_utc is not None
