"""The administration of a namespace over HTTP, as far as counting takes it, beside the broker that has the messages."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from azure.servicebus.management import ServiceBusAdministrationClient
from typing_extensions import override

from packages.azure.tests.namespace import Namespace
from packages.azure.tests.plain_http import PlainHttp

# "List queues" (Service Bus REST), with runtime properties.
_FEED = '<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">Queues</title>{entries}</feed>'
_ENTRY = """<entry xmlns="http://www.w3.org/2005/Atom"><title type="text">{name}</title><content type="application/xml">
<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><MessageCount>{count}</MessageCount>
<CountDetails xmlns:d="http://schemas.microsoft.com/netservices/2011/06/servicebus">
<d:ActiveMessageCount>{active}</d:ActiveMessageCount><d:DeadLetterMessageCount>{buried}</d:DeadLetterMessageCount>
<d:ScheduledMessageCount>{scheduled}</d:ScheduledMessageCount>
<d:TransferMessageCount>0</d:TransferMessageCount>
<d:TransferDeadLetterMessageCount>0</d:TransferDeadLetterMessageCount></CountDetails>
</QueueDescription></content></entry>"""


class Administration:
    """Answers on 127.0.0.1 how many messages lie in the queues of a namespace."""

    def __init__(self, namespace: Namespace, names: list[str]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(namespace, names))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def client(self) -> ServiceBusAdministrationClient:
        """A client that asks here."""
        return ServiceBusAdministrationClient.from_connection_string(
            "Endpoint=sb://namespace.servicebus.windows.net/;SharedAccessKeyName=K;SharedAccessKey=V",
            transport=PlainHttp(self._server.server_port),
            retry_total=0,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(namespace: Namespace, names: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            first, most = int(query["$skip"][0]), int(query["$top"][0])
            entries = "".join(_entry(namespace, name) for name in names[first : first + most])
            body = _FEED.format(entries=entries).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/atom+xml;type=feed;charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _entry(namespace: Namespace, name: str) -> str:
    states = [stored.state for stored in namespace.broker.messages(name)]
    scheduled = states.count("scheduled")
    buried = len(namespace.broker.dead_letters(name))
    return _ENTRY.format(
        name=name,
        count=len(states) + buried,
        active=len(states) - scheduled,  # locked ones are active
        buried=buried,
        scheduled=scheduled,
    )
