"""The internet, as a test makes it up: where names lead to, and who listens there."""

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from src.clock import now


class Lookups(list[str]):
    """The names that were looked up; every one of them is said to be at `found`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: list[str], port: int | None = None) -> None:
        super().__init__()
        self._found, self._port = found, port

        async def resolve(_: Any, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
            self.append(host)
            return [
                {"hostname": host, "host": each, "port": self._port or port, "proto": 0, "flags": 0,
                 "family": socket.AF_INET6 if ":" in each else socket.AF_INET}
                for each in self._found
            ]  # fmt: skip

        monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)


class Listener:
    """Somebody on loopback who says nothing and hangs up."""

    connections = 0
    heard = b""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls

    async def __aenter__(self) -> "Listener":
        self._server = await asyncio.start_server(self._hear, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.heard = await reader.read(100)
        writer.close()


def self_signed(name: str, directory: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate of this name that nobody else has signed."""
    key, moment = ec.generate_private_key(ec.SECP256R1()), now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(moment - timedelta(days=1)).not_valid_after(moment + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "pem").write_bytes(pem + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "pem")
    return context
