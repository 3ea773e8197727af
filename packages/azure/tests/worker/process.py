"""The worker as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

_HERE: Final = Path(__file__).parent


@dataclass(slots=True, eq=False)
class Worker:
    """A worker that has indexed the function app of the tests.

    Attributes:
        indexed: the bindings of each function, as the host is told them.
    """

    indexed: Mapping[str, Sequence[Mapping[str, Any]]]
    _process: subprocess.Popen[str] = field(repr=False)

    @classmethod
    def start(cls, library: Path, settings: Mapping[str, str]) -> Self:
        """Start one in which *settings* are the app settings.

        Raises:
            RuntimeError: it could not index the app.
        """
        process = subprocess.Popen(
            [sys.executable, _HERE / "serve.py", _HERE / "app"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(library),
                "AzureWebJobsScriptRoot": str(_HERE / "app"),
                **settings,
            },
        )
        line = _pipe(process.stdout).readline()
        if not line:
            process.wait()
            raise RuntimeError("the worker did not index the app; it says above why")
        return cls(json.loads(line), process)

    def invoke(
        self, function: str, inputs: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> Any:
        """What the worker tells the host of an invocation; its error is None if all went well."""
        asked = {"function": function, "inputs": inputs, "metadata": {} if metadata is None else metadata}
        stdin = _pipe(self._process.stdin)
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        return json.loads(_pipe(self._process.stdout).readline())

    def stop(self) -> None:
        """End it."""
        _pipe(self._process.stdin).close()
        self._process.wait(30)
        _pipe(self._process.stdout).close()


def as_bytes(body: bytes) -> str:
    """Bytes as an invocation of `Worker` has them."""
    return b64encode(body).decode()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the worker was started without its pipes")
    return pipe
