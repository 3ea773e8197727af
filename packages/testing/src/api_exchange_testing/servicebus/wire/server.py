"""The sockets: one thread that listens on the loopback and serves all connections."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeVar

from api_exchange_testing.servicebus.wire.engine import Engine

_READ: Final = 1 << 16
_LONGEST_WAIT: Final = 1.0  # seconds, between heartbeats
_STOP: Final = 10.0

T = TypeVar("T")


class Served(Protocol):
    """What is served."""

    def connect(self) -> Engine:
        """A connection came in."""

    def work(self) -> float:
        """Do what has become possible; in how many seconds to be called again, if nothing arrives before."""


class Server:
    """Serves on 127.0.0.1, where alone it listens. All of the service runs on the server's thread.

    Args:
        port: 0 for a free one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, service: Served, *, port: int) -> None:
        self._service = service
        self._engines: dict[socket.socket, Engine] = {}
        self._asked: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._failure: BaseException | None = None
        self._is_stopping = False
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._bell, self._rope = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="servicebus-broker", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """What *function* returns or raises, called on the server's thread, or here once that has ended."""
        if not self._thread.is_alive() or threading.current_thread() is self._thread:
            return function()
        answer: Future[T] = Future()

        def answered() -> None:
            try:
                answer.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
                answer.set_exception(error)

        self._asked.put(answered)
        try:
            self._rope.send(b"!")
        except OSError:  # the thread has just ended
            self._answer_all()
        return answer.result()

    def drop_connections(self) -> int:
        """Close all connections without a word; how many there were. Call it on the server's thread."""
        dropped = list(self._engines)
        for each in dropped:
            self._drop(each)
        return len(dropped)

    def drop(self, engine: Engine) -> None:
        """Close one connection without a word. Call it on the server's thread."""
        for each, its in list(self._engines.items()):
            if its is engine:
                self._drop(each)

    def stop(self) -> None:
        """Close everything. To stop twice is harmless.

        Raises:
            RuntimeError: the server failed on the way, which is a defect of the broker.
        """
        if self._thread.is_alive():
            self.call(self._give_up)
            self._thread.join(_STOP)
        if self._failure is not None:
            raise RuntimeError("the broker failed; this is a defect of it") from self._failure

    def _give_up(self) -> None:
        self._is_stopping = True

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self._turn()
        except BaseException as failure:  # noqa: BLE001 - `stop` raises it, in a thread that is listened to
            self._failure = failure
        finally:
            self.drop_connections()
            self._selector.close()
            for each in (self._listener, self._bell, self._rope):
                each.close()
            self._answer_all()

    def _turn(self) -> None:
        wait = min(_LONGEST_WAIT, self._service.work())
        for connection in list(self._engines):
            self._write(connection)
        for key, _ in self._selector.select(max(0.0, wait)):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._bell:
                self._answer()
            elif isinstance(key.fileobj, socket.socket):
                self._read(key.fileobj)

    def _answer(self) -> None:
        self._bell.recv(_READ)
        self._answer_all()

    def _answer_all(self) -> None:
        while True:
            try:
                asked = self._asked.get_nowait()
            except Empty:
                return
            asked()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._engines[connection] = self._service.connect()
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        engine = self._engines.get(connection)
        if engine is None:
            return
        try:
            received = connection.recv(_READ)
        except BlockingIOError:  # it was only ready to be written to
            return
        except OSError:
            self._drop(connection)
            return
        engine.feed(received)
        if not received:
            self._drop(connection)

    def _write(self, connection: socket.socket) -> None:
        engine = self._engines[connection]
        engine.tick()
        try:
            while waiting := engine.pending():
                engine.written(connection.send(waiting))
        except BlockingIOError:
            self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            return
        except OSError:
            self._drop(connection)
            return
        if engine.is_closed:
            self._drop(connection)
        else:
            self._selector.modify(connection, selectors.EVENT_READ)

    def _drop(self, connection: socket.socket) -> None:
        engine = self._engines.pop(connection, None)
        if engine is not None:
            self._selector.unregister(connection)
            connection.close()
            engine.drop()
