"""The lab's own certificate authority and the certificates it signs: API servers, entries, the practice range.

Keys stay in the lab's state folder, readable by the owner only. It knows no name by itself.
"""

import datetime as dt
import fcntl
import hashlib
import ipaddress
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from holdfast_gameday.lab import paths

LIFE = dt.timedelta(days=30)


def authority() -> Path:
    """Makes the authority once; returns the path of its certificate."""
    with _alone():
        return _authority()


def _authority() -> Path:
    crt, key = paths.state() / "ca.crt", paths.state() / "ca.key"
    if crt.exists() and key.exists():
        return crt
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Holdfast lab CA")])
    certificate = (
        _builder(name, name, private.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(key, _pem(private))
    _write(crt, certificate.public_bytes(serialization.Encoding.PEM))
    return crt


def leaf(names: Iterable[str], *, client: str | None = None, organization: str | None = None) -> tuple[Path, Path]:
    """A certificate for these names and addresses: (certificate, key). The same question gives the same files.

    `client` makes it a client's certificate with that common name instead of a server's.
    """
    with _alone():
        return _leaf(sorted(set(names)), client, organization)


def _leaf(wanted: list[str], client: str | None, organization: str | None) -> tuple[Path, Path]:
    mark = hashlib.sha256("\n".join([*wanted, client or "", organization or ""]).encode()).hexdigest()[:12]
    label = (client or (wanted[0] if wanted else "leaf")).replace(":", "-").replace("*", "any")
    folder = paths.state() / "certs"
    crt, key = folder / f"{label}-{mark}.crt", folder / f"{label}-{mark}.key"
    ca_crt = _authority()
    if crt.exists() and key.exists():
        return crt, key
    folder.mkdir(parents=True, exist_ok=True)
    ca = x509.load_pem_x509_certificate(ca_crt.read_bytes())
    ca_key = serialization.load_pem_private_key((paths.state() / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    private = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, client or wanted[0])]
    if organization:
        subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        _builder(x509.Name(subject), ca.subject, private.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if wanted:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(each) for each in wanted]), critical=False)
    _write(key, _pem(private))
    _write(crt, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return crt, key


def signing_key(path: Path) -> Path:
    """A key for a cluster's service account tokens."""
    if not path.exists():
        _write(path, _pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a certificate's dates are the wall clock's business
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFE)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=sign_certificates, crl_sign=sign_certificates,
        encipher_only=False, decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Several programs of the lab ask at the same moment; a certificate and its key must come from one of them."""
    paths.state().mkdir(parents=True, exist_ok=True)
    with (paths.state() / "certs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
