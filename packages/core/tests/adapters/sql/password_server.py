"""A PostgreSQL that asks for passwords in clear text, as those of the clouds ask for their tokens, behind TLS.

The server of the tests speaks no TLS, so a front of ours does, which is all that clients see.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import sql

from api_exchange_testing.postgres import PostgresServer

_SSL_REQUEST: Final = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")  # "SSLRequest", message formats
_CHUNK: Final = 64 * 1024


@dataclass(slots=True)
class PasswordServer:
    """The server, as a client finds it.

    Attributes:
        server: what is behind the front.
        port: of the front, on 127.0.0.1.
        certificate: a file with the certificate of the front, which is its own authority.
        user: the login that needs a password; all others need none.
        given: passwords that clients have given, in their order.
    """

    server: PostgresServer
    port: int
    certificate: Path
    user: str
    given: list[str] = field(default_factory=list)

    def url(self, host: str, **query: object) -> str:
        """The URL of the server under a name that leads nowhere."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return f"postgresql://{self.user}@{host}:{self.port}/postgres?hostaddr=127.0.0.1{more}"

    def set_password(self, password: str) -> None:
        """From now on only this one is let in."""
        with self._administrator() as connection:
            connection.execute(
                sql.SQL("alter role {} password {}").format(sql.Identifier(self.user), sql.Literal(password))
            )

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within the block, there is the login, and it is asked for a password."""
        with self._administrator() as connection:
            connection.execute(f"create role {self.user} login".encode())
            [file] = connection.execute("show hba_file").fetchone() or ()
            rules = Path(str(file))
            before = rules.read_text()
            rules.write_text(f"host all {self.user} 127.0.0.1/32 password\n{before}")
            connection.execute("select pg_reload_conf()")
            yield
            rules.write_text(before)
            connection.execute("select pg_reload_conf()")
            connection.execute(f"drop role {self.user}".encode())

    def _administrator(self) -> psycopg.Connection[tuple[object, ...]]:
        url = self.server.url("postgres").replace("+psycopg", "")
        return psycopg.connect(url, autocommit=True)

    async def run(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Take connections until *stop*."""
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        listening.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError):  # a client that does not trust us, or has gone
            if await reader.readexactly(8) != _SSL_REQUEST:
                return  # it would go on without TLS
            writer.write(b"S")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            await writer.start_tls(context)
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server.port)
            with closing(to_server):
                await asyncio.gather(self._pump(reader, to_server), self._pump(from_server, writer))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with closing(target), suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if chunk[:1] == b"p":  # "PasswordMessage"
                    self.given.append(chunk[5:-1].decode())
                target.write(chunk)
                await target.drain()


@contextmanager
def password_server(server: PostgresServer, folder: Path, host: str) -> Iterator[PasswordServer]:
    """Within the block, *server* behind a front whose certificate is for *host* and lies in *folder*."""
    certificate = folder / "front.pem"
    certificate.write_bytes(_certificate(host))
    front = PasswordServer(server, 0, certificate, f"app_{uuid4().hex}")
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=_run, args=(loop, front.run(started, stop)))
    thread.start()
    started.wait()
    try:
        with front.asking():
            yield front
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # ends what is left of it
        runner.run(work)


def _certificate(host: str) -> bytes:
    """A key and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
