"""The server's certificates: a certificate authority of its own, as a property's IT may run it."""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

import trustme

_NAMES = ("127.0.0.1", "localhost")


class Certificates:
    """The authority and the server's certificate, kept in a folder and the same after a restart.

    `context` is what the server's end of a connection uses: what is loaded there counts from the next connection on.
    """

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        """The authority's certificate, for clients."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._key_file = folder / "ca-key.pem"
        self._leaf_file = folder / "server.pem"
        if self._key_file.exists():
            self._ca = trustme.CA.from_pem(self.ca_file.read_bytes(), self._key_file.read_bytes())
        else:
            self._ca = trustme.CA(organization_name="Sandbox")
            self.ca_file.write_bytes(self._ca.cert_pem.bytes())
            write_secret(self._key_file, self._ca.private_key_pem.bytes())
        if not self._leaf_file.exists():
            self._issue(self._ca)
        self.context.load_cert_chain(self._leaf_file)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the server's certificate, in hex."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first_certificate(self._leaf_file.read_text()))).hexdigest()

    def renew(self, *, another_authority: bool) -> None:
        """A new certificate for the server, of the same authority or of one that nobody knows."""
        self._issue(trustme.CA(organization_name="Somebody else") if another_authority else self._ca)
        self.context.load_cert_chain(self._leaf_file)

    def _issue(self, authority: trustme.CA) -> None:
        write_secret(self._leaf_file, authority.issue_cert(*_NAMES).private_key_and_cert_chain_pem.bytes())


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that nobody else may read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _first_certificate(pem: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + pem.partition(begin)[2].partition(end)[0] + end + "\n"
