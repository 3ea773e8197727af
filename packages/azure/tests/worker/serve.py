"""Runs a function app in the library of Azure's Python worker, as the worker does for the Functions host.

Arguments: the folder of the app. First it prints what it has indexed; then each line of standard input is an invocation
and is answered by a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else prints is kept apart from the answers
sys.path.insert(0, sys.argv[1])
os.chdir(sys.argv[1])

import azure_functions_runtime as worker  # type: ignore[import-not-found]  # noqa: E402 - it is in no environment
from protos import protos  # type: ignore[import-not-found]  # noqa: E402 - beside this file


def request(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(
        request=SimpleNamespace(**fields), properties={"host": "127.0.0.1", "protos": protos}
    )


def typed(value: Any) -> Any:
    """Data as the host types it: a text, bytes, many bytes, a request, or JSON."""
    ((kind, given),) = value.items()
    if kind == "bytes":
        return protos.TypedData(bytes=b64decode(given))
    if kind == "many":
        many = protos.CollectionBytes(bytes=[b64decode(one) for one in given])
        return protos.TypedData(collection_bytes=many)
    if kind == "http":
        body = protos.TypedData(bytes=b64decode(given.pop("body")))
        return protos.TypedData(http=protos.RpcHttp(body=body, **given))
    return protos.TypedData(**{kind: given if kind == "string" else json.dumps(given)})


async def invoke(ids: dict[str, str], line: str) -> dict[str, Any]:
    asked = json.loads(line)
    invocation = protos.InvocationRequest(
        invocation_id="invocation",
        function_id=ids[asked["function"]],
        input_data=[
            protos.ParameterBinding(name=name, data=typed(value)) for name, value in asked["inputs"].items()
        ],
        trigger_metadata={name: typed(value) for name, value in asked["metadata"].items()},
    )
    answer = await worker.invocation_request(request(invocation_request=invocation))
    if answer.result.status != protos.StatusResult.Success:
        return {"error": str(answer.result.exception.message)}
    returned = answer.return_value
    if not returned or not returned.http:
        return {"error": None}
    http = returned.http
    body = http.body.bytes or http.body.string
    return {
        "error": None,
        "status": int(http.status_code),
        "headers": dict(http.headers),
        "body": body.decode() if isinstance(body, bytes) else body,
    }


async def main() -> None:
    worker.start_threadpool_executor()
    asked = SimpleNamespace(capabilities={}, function_app_directory=str(Path.cwd()))
    begun = await worker.worker_init_request(request(worker_init_request=asked))
    if begun.result.status != protos.StatusResult.Success:
        raise SystemExit(f"the worker cannot index the app: {begun.result.exception}")
    found = (await worker.functions_metadata_request(request())).function_metadata_results
    ids = {one.name: one.function_id for one in found}
    indexed = {one.name: [json.loads(binding) for binding in one.raw_bindings] for one in found}
    print(json.dumps(indexed), file=_ANSWERS, flush=True)
    for line in sys.stdin:
        print(json.dumps(await invoke(ids, line)), file=_ANSWERS, flush=True)


asyncio.run(main())
