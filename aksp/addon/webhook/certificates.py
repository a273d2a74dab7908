"""Certificates: an authority of our own, and serving certificates that it issues. Pure: bytes and the time come in.

Everything is PEM, as Secrets, mounted folders and a webhook's ``caBundle`` have it. What the certificates say follows
RFC 5280 and what Go's crypto/x509 and OpenSSL 3 check of a server: names in the SAN only, an authority with basic
constraints and key usage, key identifiers that tell two authorities apart while both are trusted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aksp.errors import InvalidInput

AUTHORITY_LIFE: Final = timedelta(days=3650)
SERVING_LIFE: Final = timedelta(days=90)
BACKDATE: Final = timedelta(hours=1)
"""A certificate is valid this long before it is made: clocks of API servers differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A certificate with its key. ``certificate``: PEM, the leaf first; ``key``: PEM, not encrypted, never shown."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_authority(now: datetime, *, life: timedelta = AUTHORITY_LIFE) -> Pair:
    """A new authority with a P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # Authorities differ in name too, so that no verifier has to try keys.
    name = _name(f"aksp webhook CA {serial % 16**8:08x}")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(serial)
        .public_key(key.public_key())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(built, key)


def issue(authority: Pair, names: Sequence[str], now: datetime, *, life: timedelta = SERVING_LIFE) -> Pair:
    """A serving certificate for DNS names and IP addresses; it never outlives its authority.

    Raises InvalidInput when the authority cannot be read, or a name is none.
    """
    issuer = parse(authority.certificate)[0]
    issuer_key = _key(authority.key)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey), "authorities are made by make_authority"
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    built = (
        x509.CertificateBuilder()
        # Nobody reads a server's common name any more, and it holds only 64 characters.
        .subject_name(_name("aksp webhook"))
        .issuer_name(issuer.subject)
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + life, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(built, key)


def needs_renewal(certificate: bytes, now: datetime, *, names: Sequence[str] | None = None) -> bool:
    """Whether two thirds of the life are over, or it lacks or exceeds ``names`` (None: they do not matter)."""
    leaf = parse(certificate)[0]
    begin = leaf.not_valid_before_utc
    if now >= begin + (leaf.not_valid_after_utc - begin) * 2 / 3:
        return True
    return names is not None and _names(leaf) != {_general_name(name) for name in names}


def issued_at(certificate: bytes) -> datetime:
    """When a certificate of ours was made."""
    return parse(certificate)[0].not_valid_before_utc + BACKDATE


def expires_at(certificate: bytes) -> datetime:
    return parse(certificate)[0].not_valid_after_utc


def check(pair: Pair, now: datetime) -> None:
    """Raise InvalidInput unless the pair can be served now: it can be read, the key fits, it is neither old nor early."""
    leaf = parse(pair.certificate)[0]
    if _key(pair.key).public_key() != leaf.public_key():
        raise InvalidInput("the private key does not belong to the certificate")
    if now >= leaf.not_valid_after_utc:
        raise InvalidInput(f"the certificate has expired on {leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
    if now < leaf.not_valid_before_utc - BACKDATE:
        raise InvalidInput(f"the certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ} on")


def issued_by(certificate: bytes, authority: bytes) -> bool:
    """Whether the first certificate is signed by the authority."""
    try:
        parse(certificate)[0].verify_directly_issued_by(parse(authority)[0])
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def bundle(certificates: Iterable[bytes], now: datetime) -> bytes:
    """The certificates (PEM, each one or several) as one PEM: in their order, each once, without those that expired."""
    kept: dict[bytes, None] = {}
    for found in certificates:
        for each in parse(found):
            if each.not_valid_after_utc > now:
                kept.setdefault(each.public_bytes(serialization.Encoding.PEM))
    return b"".join(kept)


def split(pem: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM, one by one. Raises InvalidInput when there is none."""
    return tuple(each.public_bytes(serialization.Encoding.PEM) for each in parse(pem))


def parse(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM, at least one; else InvalidInput."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InvalidInput("no certificate in PEM can be read") from error


def _key(pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise InvalidInput("the private key is encrypted", hint="give it without a pass phrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("no private key in PEM can be read") from error


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """An authority signs certificates and nothing else; with a P-256 key a server signs and never enciphers."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.lower())
    except ValueError as error:
        raise InvalidInput(f"{name!r} is neither a DNS name nor an IP address") from error


def _names(leaf: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()
