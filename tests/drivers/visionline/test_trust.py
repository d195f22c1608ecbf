"""Whom to believe that it is the server; in handshakes with real TLS servers."""

import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from drivers.visionline.trouble import CertificateChanged, CertificateUnknown, NoAuthority, ServerAway
from drivers.visionline.trust import ByAuthority, ByFingerprint, Trust, read_fingerprint, shown
from tests.drivers.visionline.conftest import MakeClient
from tests.drivers.visionline.house import House, der_of, hang_up, written

NOW = datetime.datetime.now(datetime.UTC)
LONG_AGO = NOW - datetime.timedelta(days=400)


def self_signed(
    *, ends: datetime.datetime = NOW + datetime.timedelta(days=9), name: str = "VISIONLINE"
) -> trustme.LeafCert:
    """As Windows servers make them: no authority's flags, no alternative names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(LONG_AGO).not_valid_after(ends).sign(key, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return trustme.LeafCert(pem, made.public_bytes(Encoding.PEM), [])


def fingerprint_of(leaf: trustme.LeafCert) -> str:
    return hashlib.sha256(der_of(leaf)).hexdigest()


def is_refused(server: House, make_client: MakeClient, trust: Trust, error: type[Exception], says: str = ".") -> None:
    """So that nothing at all is sent."""
    with pytest.raises(error, match=says):
        make_client(trust).connect()
    assert server.heard == []


def is_taken(server: House, make_client: MakeClient, trust: Trust) -> None:
    client = make_client(trust)
    client.connect()
    client.get("/api/v1/cards")
    assert [heard.stage for heard in server.heard] == ["session", "doors", "look"]


def test_an_authority_in_a_file(server: House, make_client: MakeClient, ca_file: Path) -> None:
    is_taken(server, make_client, ByAuthority(ca_file))


def test_another_authority_than_the_one_in_the_file(server: House, make_client: MakeClient, tmp_path: Path) -> None:
    other = written(trustme.CA(), tmp_path / "other.pem")
    seen = shown(fingerprint_of(server.certificate))
    is_refused(server, make_client, ByAuthority(other), CertificateUnknown, f"fingerprint is {seen}")


def test_the_systems_authorities_know_nothing_of_a_private_one(server: House, make_client: MakeClient) -> None:
    is_refused(server, make_client, ByAuthority(), CertificateUnknown)


def test_the_systems_authorities(
    server: House, make_client: MakeClient, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))  # where OpenSSL looks for the system's
    is_taken(server, make_client, ByAuthority())


def test_an_authority_vouches_for_the_name(
    server: House, make_client: MakeClient, ca_file: Path, authority: trustme.CA
) -> None:
    server.certificate = authority.issue_cert("visionline.example")
    is_refused(server, make_client, ByAuthority(ca_file), CertificateUnknown, "not valid for '127.0.0.1'")


def test_an_authority_vouches_for_a_time(
    server: House, make_client: MakeClient, ca_file: Path, authority: trustme.CA
) -> None:
    server.certificate = authority.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=NOW - datetime.timedelta(1))
    is_refused(server, make_client, ByAuthority(ca_file), CertificateUnknown, "expired")


def test_an_authority_of_a_house_that_is_not_made_by_the_book(
    server: House, make_client: MakeClient, tmp_path: Path
) -> None:
    """Without key identifiers, which Python 3.13 would ask for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "The house's own")])
    leaf_key = ec.generate_private_key(ec.SECP256R1())

    def made(issued_to: x509.Name, its: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(subject, issued_to, its.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(LONG_AGO).not_valid_after(NOW + datetime.timedelta(9))
        signed = builder.add_extension(extension, critical=False).sign(key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM)

    ca = tmp_path / "ca.pem"
    ca.write_bytes(made(subject, key, x509.BasicConstraints(ca=True, path_length=None)))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = made(x509.Name([]), leaf_key, names)
    pem = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    server.certificate = trustme.LeafCert(pem, leaf, [])
    is_taken(server, make_client, ByAuthority(ca))


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_holds_no_authority(
    server: House, make_client: MakeClient, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    is_refused(server, make_client, ByAuthority(file), NoAuthority, str(file))
    assert server.connections == 0


def test_a_file_that_is_put_right_counts_from_the_next_opening_on(
    server: House, make_client: MakeClient, tmp_path: Path, authority: trustme.CA
) -> None:
    file = written(trustme.CA(), tmp_path / "ca.pem")
    client = make_client(ByAuthority(file))
    with pytest.raises(CertificateUnknown):
        client.connect()
    written(authority, file)
    client.connect()


def test_a_pinned_certificate_of_an_authority(server: House, make_client: MakeClient) -> None:
    is_taken(server, make_client, ByFingerprint(fingerprint_of(server.certificate)))


@pytest.mark.parametrize("ends", [NOW + datetime.timedelta(9), NOW - datetime.timedelta(9)], ids=["valid", "expired"])
def test_a_pinned_certificate_that_is_its_own_authority(
    server: House, make_client: MakeClient, ends: datetime.datetime
) -> None:
    server.certificate = self_signed(ends=ends)
    is_taken(server, make_client, ByFingerprint(fingerprint_of(server.certificate)))


def test_another_certificate_than_the_pinned_one(server: House, make_client: MakeClient, authority: trustme.CA) -> None:
    pinned = ByFingerprint(fingerprint_of(authority.issue_cert("127.0.0.1")))
    is_refused(server, make_client, pinned, CertificateChanged, shown(fingerprint_of(server.certificate)))


@pytest.mark.parametrize("other", ["of the same authority", "of the same name"])
def test_a_certificate_that_takes_the_pinned_ones_place_after_the_look(
    server: House, make_client: MakeClient, authority: trustme.CA, other: str
) -> None:
    """Between the look and the request: whoever stands in between shows the right one first."""
    server.certificate = pinned = self_signed()
    swapped = self_signed() if other == "of the same name" else authority.issue_cert("127.0.0.1")
    trust = ByFingerprint(fingerprint_of(pinned))
    made = trust.context

    class Swapping(ByFingerprint):
        def context(self, *args) -> ssl.SSLContext:
            context = made(*args)
            server.certificate = swapped
            return context

    is_refused(server, make_client, Swapping(trust.fingerprint), CertificateChanged, shown(fingerprint_of(swapped)))


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "by authority"])
def test_a_certificate_that_changes_between_two_requests(
    server: House, make_client: MakeClient, ca_file: Path, pinned: bool
) -> None:
    trust = ByFingerprint(fingerprint_of(server.certificate)) if pinned else ByAuthority(ca_file)
    client = make_client(trust)
    client.connect()
    server.certificate = self_signed()
    with pytest.raises(CertificateChanged if pinned else CertificateUnknown) as caught:
        client.order("/api/v1/cards", {"override": "true"}, {})
    assert shown(fingerprint_of(server.certificate)) in caught.value.message
    assert server.at("order") == []


def test_a_server_that_cannot_be_looked_at(server: House, make_client: MakeClient) -> None:
    server.greeting = hang_up
    is_refused(server, make_client, ByFingerprint("0" * 64), ServerAway)


DIGITS = "00112233445566778899aabbccddeeff" * 2


@pytest.mark.parametrize("text", [DIGITS, DIGITS.upper(), shown(DIGITS), shown(DIGITS).lower(), f" {DIGITS}\n"])
def test_a_fingerprint_in_any_writing(text: str) -> None:
    assert ByFingerprint(text) == ByFingerprint(DIGITS)


@pytest.mark.parametrize("text", ["", DIGITS[:-1], DIGITS + "0", "g" * 64, "SHA256:" + DIGITS, DIGITS[:40]])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        read_fingerprint(text)


@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_is_shown_as_it_is_read(digest: bytes) -> None:
    assert read_fingerprint(shown(digest.hex())) == digest.hex()
