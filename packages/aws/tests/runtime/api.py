"""Lambda's Runtime API on 127.0.0.1, for the real runtime client.

"Using the Lambda runtime API for custom runtimes", AWS Lambda developer guide. Neither the end of a function at its
timeout nor the freeze between invocations is played.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast
from uuid import uuid4

from packages.aws.tests.ministack.server import ACCOUNT, REGION

_VERSION: Final = "/2018-06-01/runtime"
_LONGEST: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an invocation.

    Args:
        is_error: the function raised, or could not be loaded.
        document: its answer, or the error.
    """

    is_error: bool
    document: Any


@dataclass(slots=True)
class _Invocation:
    event: bytes
    deadline: int
    id: str = field(default_factory=lambda: str(uuid4()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.waiting: queue.Queue[_Invocation | None] = queue.Queue()
        self.answers: queue.Queue[Answered] = queue.Queue()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # with it each answer waits for the other side's delayed acknowledgement
    wbufsize = -1

    def do_GET(self) -> None:
        invocation = self._server.waiting.get()
        if invocation is None:
            self._answer(410, {}, b"")
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:shop",
            "Content-Type": "application/json",
        }
        self._answer(200, headers, invocation.event)

    def do_POST(self) -> None:
        document = json.loads(self._body() or b"null")
        self._server.answers.put(Answered(not self.path.endswith("/response"), document))
        self._answer(202, {}, b'{"status":"OK"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
        """Say nothing."""

    @property
    def _server(self) -> _Server:
        return cast("_Server", self.server)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class LambdaRuntime:
    """A function in the real runtime client: a process of its own, which calls the Runtime API here.

    Args:
        folder: holds the function's module.
        handler: such as ``app.handler``.
        environment: of the function, besides what the runtime sets.
    """

    def __init__(self, folder: Path, handler: str, environment: Mapping[str, str]) -> None:
        self._server = _Server()
        self._log = folder / "log"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        settings = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "shop",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "LAMBDA_TASK_ROOT": str(folder),
            "_HANDLER": handler,
            "PYTHONPATH": str(folder),
            "PATH": os.environ.get("PATH", os.defpath),
        }
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", handler],
                env=settings | dict(environment),
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def invoke(self, event: Mapping[str, Any], *, timeout: float = 30.0) -> Answered:
        """Hand the function an event; what it answers.

        Raises:
            AssertionError: it answers nothing; shows what it logged.
        """
        deadline = int((time.time() + timeout) * 1000)
        self._server.waiting.put(_Invocation(json.dumps(event).encode(), deadline))
        try:
            return self._server.answers.get(timeout=_LONGEST)
        except queue.Empty:
            raise AssertionError(f"no answer; the function says:\n{self.log}") from None

    @property
    def log(self) -> str:
        """What the process has written."""
        return self._log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(_LONGEST)
        self._server.waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
