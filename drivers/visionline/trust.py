"""Which server is taken for Visionline's: by whose authority, or by which very certificate.

All public clients switch the check of certificates off (hardware.md section A), as Visionline's own are self-signed or
from the hotel's authority. Here the check is always on: what carries data goes over a connection whose certificate was
verified in its handshake.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.visionline.trouble import CertificateChanged, CertificateUnknown, NoAuthority, NotReached

_COMPARE = (
    "Look at the Visionline server itself, or ask who looks after it, which fingerprint (SHA-256) its certificate has."
)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h; Python has no name for it


@dataclass(frozen=True)
class Place:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Trust(Protocol):
    """Whom to believe that it is the server."""

    def context(self, place: Place, timeout_s: float) -> ssl.SSLContext:
        """What connections are made with.

        Raises:
            NotReached: the server has to be looked at first, and isn't there.
            CertificateChanged, NoAuthority: it can't be trusted.
        """

    def refusal(
        self, place: Place, timeout_s: float, reason: str
    ) -> CertificateChanged | CertificateUnknown | NotReached:
        """What to say where a certificate was not accepted, for this `reason`."""


@dataclass(frozen=True)
class ByAuthority:
    """Trust in what an authority vouches for: one of those in `ca_file` (PEM), or of the system's."""

    ca_file: Path | None = None

    def context(self, place: Place, timeout_s: float) -> ssl.SSLContext:
        """See `Trust.context`."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # that no certificate is in it is an ssl.SSLError, and that is one as well
            raise NoAuthority(f"The file {self.ca_file} can't be used ({_reason(error)}).") from error
        # From Python 3.13 on this is on. Many a house's own authority was not made in such strict form.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def refusal(self, place: Place, timeout_s: float, reason: str) -> CertificateUnknown:
        """See `Trust.refusal`."""
        try:
            seen = fingerprint(certificate(place, timeout_s))
        except NotReached:
            seen = ""
        return _unknown(place, reason, seen)


@dataclass(frozen=True)
class ByFingerprint:
    """Trust in the one certificate whose fingerprint is this, whoever made it, and whatever name and dates it bears."""

    fingerprint: str

    def __post_init__(self) -> None:
        """Take the fingerprint in any writing.

        Raises:
            ValueError: it is none.
        """
        object.__setattr__(self, "fingerprint", read_fingerprint(self.fingerprint))

    def context(self, place: Place, timeout_s: float) -> ssl.SSLContext:
        """See `Trust.context`.

        The certificate is looked at over a connection that carries nothing else. If it is the one, it becomes the only
        one that is trusted: another that comes in its place afterwards is refused in its handshake.
        """
        der = certificate(place, timeout_s)
        if fingerprint(der) != self.fingerprint:
            raise self._changed(place, fingerprint(der))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the certificate itself is known
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        context.load_verify_locations(cadata=der)
        return context

    def refusal(
        self, place: Place, timeout_s: float, reason: str
    ) -> CertificateChanged | CertificateUnknown | NotReached:
        """See `Trust.refusal`."""
        try:
            seen = fingerprint(certificate(place, timeout_s))
        except NotReached as error:
            return error
        return _unknown(place, reason, seen) if seen == self.fingerprint else self._changed(place, seen)

    def _changed(self, place: Place, seen: str) -> CertificateChanged:
        return CertificateChanged(
            f"The server at {place} has another certificate than the one that is configured: its fingerprint is "
            f"{shown(seen)}.",
            next_step=f"{_COMPARE} If it is this one, set the option `fingerprint` to it and restart the agent. If it "
            "isn't, something stands between the two that must not be there: leave the option as it is.",
            fingerprint=shown(seen),
        )


def certificate(place: Place, timeout_s: float) -> bytes:
    """The certificate (DER) that a server shows in a handshake. Nothing is sent to it beyond that.

    Raises:
        NotReached: it shows none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # to look at it: this connection carries nothing
    try:
        with (
            socket.create_connection((place.host, place.port), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=place.host) as connection,
        ):
            der = connection.getpeercert(binary_form=True)
    except OSError as error:
        raise NotReached(f"No secure connection to {place} came about ({_reason(error)}).") from error
    if not der:
        raise NotReached(f"The server at {place} shows no certificate.")
    return der


def fingerprint(der: bytes) -> str:
    """A certificate's SHA-256, in hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


def read_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint in one writing, from hexadecimal digits in upper or lower case, with colons or without.

    Raises:
        ValueError: it is none.
    """
    digits = text.strip().replace(":", "").replace(" ", "").lower()
    if not _FINGERPRINT.fullmatch(digits):
        raise ValueError("a certificate's SHA-256 fingerprint has 64 hexadecimal digits, with colons or without")
    return digits


def shown(fingerprint: str) -> str:
    """A fingerprint as people compare it: in pairs, as browsers and openssl show it."""
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()


def _unknown(place: Place, reason: str, seen: str) -> CertificateUnknown:
    its = f" Its fingerprint is {shown(seen)}." if seen else ""
    return CertificateUnknown(
        f"The certificate of the server at {place} is not accepted: {reason}.{its}",
        next_step=f"{_COMPARE} If it is this one, set the option `fingerprint` to it, or `ca_file` to the certificate "
        "of the authority that issued it (the option `server` must then bear the name in it), and restart the agent. "
        "If it isn't, something stands between the two that must not be there.",
        **({"fingerprint": shown(seen)} if seen else {}),
    )


def _reason(error: OSError) -> str:
    """What went wrong, as the system or OpenSSL names it."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).replace("_", " ").lower()
    return error.strerror or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
