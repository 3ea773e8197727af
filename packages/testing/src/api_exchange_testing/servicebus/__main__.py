"""``python -m api_exchange_testing.servicebus``: a broker for programs that are not Python tests."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta

from api_exchange_testing.servicebus import (
    STANDARD_MESSAGE_SIZE,
    BrokerUnavailableError,
    Queue,
    ServiceBusBroker,
    Subscription,
    Topic,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted or terminated; what the process ends with."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        broker = _broker(given).start()
    except (ValueError, OSError, BrokerUnavailableError) as error:
        parser.error(str(error))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    sys.stdout.write(broker.connection_string + "\n")
    sys.stdout.flush()
    stopped.wait()
    broker.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m api_exchange_testing.servicebus",
        description="A stand-in for Azure Service Bus on 127.0.0.1. It tells its connection string, and serves until"
        " it is interrupted. What it holds is gone then.",
    )
    more = parser.add_argument
    more("--queue", action="append", default=[], metavar="NAME", help="a queue; may be repeated")
    more(
        "--session-queue", action="append", default=[], metavar="NAME", help="a queue that requires sessions"
    )
    more("--topic", action="append", default=[], metavar="NAME=SUB,SUB", help="a topic and its subscriptions")
    more("--port", type=int, default=0, help="where to listen; a free one if not given")
    more("--lock-duration", type=float, default=60, metavar="SECONDS", help="60 if not given")
    more("--max-delivery-count", type=int, default=10, metavar="N", help="10 if not given")
    more(
        "--max-message-size",
        type=int,
        default=STANDARD_MESSAGE_SIZE,
        metavar="BYTES",
        help="256 KiB if not given",
    )
    return parser


def _broker(given: argparse.Namespace) -> ServiceBusBroker:
    lock = timedelta(seconds=given.lock_duration)
    count: int = given.max_delivery_count
    queues = [
        *(Queue(name, lock_duration=lock, max_delivery_count=count) for name in given.queue),
        *(
            Queue(name, lock_duration=lock, max_delivery_count=count, requires_session=True)
            for name in given.session_queue
        ),
    ]
    topics = []
    for told in given.topic:
        name, _, subscriptions = told.partition("=")
        names = [each for each in subscriptions.split(",") if each]
        its = (Subscription(each, lock_duration=lock, max_delivery_count=count) for each in names)
        topics.append(Topic(name, tuple(its)))
    return ServiceBusBroker(queues, topics, port=given.port, max_message_size=given.max_message_size)


if __name__ == "__main__":
    sys.exit(main())
