"""What the worker's library takes for the messages of its protocol; it is handed them, and knows no gRPC itself."""

from __future__ import annotations

import types
from typing import Any, ClassVar

_ONE_OF = {
    "data": ["string", "json", "bytes", "http", "collection_bytes", "collection_string"],
    "rpc_data": ["data", "rpc_shared_memory"],
}


class Message:
    """A message: the fields that it was made with, and nothing in the others."""

    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if not name[0].islower():  # no field, but a message: the library asks whether this is the module
            raise AttributeError(name)
        return type(self).defaults.get(name, "")

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - as protobuf calls it
        return next((name for name in _ONE_OF[group] if self.__dict__.get(name) is not None), None)


class Protos(types.ModuleType):
    """A module that has every message, under whatever name."""

    def __getattr__(self, name: str) -> type[Message]:
        made = type(name, (Message,), {})
        setattr(self, name, made)
        return made


protos: Any = Protos("protos")
protos.StatusResult.Success, protos.StatusResult.Failure = 1, 0
for place, direction in enumerate(("in", "out", "inout")):
    setattr(protos.BindingInfo, direction, place)
protos.BindingInfo.undefined = -1
protos.RpcHttp.defaults = {"headers": {}, "params": {}, "query": {}, "body": protos.TypedData()}
protos.InvocationRequest.defaults = {
    "trace_context": Message(attributes={}),
    "retry_context": Message(retry_count=0, max_retry_count=0),
    "trigger_metadata": {},
}
