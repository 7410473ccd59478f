"""The lab's certificate authority in Amazon's place: what services of the lab sign is checked on a machine against its root.

Root and intermediate certificate are made on this machine, for this machine, and kept in the cache; base images trust the root, as
Amazon's trust Amazon's. A certificate's signer answers for it by OCSP, which is handed out with the certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from lab.standin.cache import build_once

NAME = "Amazon stand-in (this machine only)"
YEARS = 10
LEAF_DAYS = 90
ANSWER_DAYS = 7
"""How long an OCSP answer may be used."""
CLOCK = timedelta(hours=1)
"""Certificates and answers begin earlier: the clocks that check them are not all the same."""


@dataclass(frozen=True)
class Signed:
    """A certificate, its key, and what signed it (None: itself)."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    issuer: Signed | None

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def chain(self) -> list[Signed]:
        """This one first, the root last."""
        return [self, *(self.issuer.chain if self.issuer else [])]

    def ocsp(self) -> bytes:
        """The issuer's answer that it is good, in DER (RFC 6960)."""
        issuer = self.issuer or self
        now = datetime.now(UTC)
        answer = ocsp.OCSPResponseBuilder().add_response(
            cert=self.certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA1(),  # noqa: S303 - names the issuer, as openssl asks
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=now - CLOCK,
            next_update=now + timedelta(days=ANSWER_DAYS),
            revocation_time=None,
            revocation_reason=None,
        )
        answer = answer.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
        return answer.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def issue(self, name: str) -> Signed:
        """A certificate for a service of this name, signed by this one."""
        return _sign(name, self, authority=False, days=LEAF_DAYS)


def authority(cache: Path) -> Signed:
    """The intermediate certificate, made with its root when the cache has none."""

    def make(folder: Path) -> None:
        root = _sign(f"{NAME} root", None, authority=True, days=YEARS * 365)
        for name, made in (("root", root), ("intermediate", _sign(NAME, root, authority=True, days=YEARS * 365))):
            (folder / f"{name}.pem").write_text(made.pem)
            _write_key(folder / f"{name}.key", made.key)

    folder = build_once(cache / "keys", "authority", "000000000001", make)
    return _read(folder, "intermediate", _read(folder, "root", None))


def root_certificate(cache: Path) -> str:
    """What machines trust, in PEM."""
    return authority(cache).chain[-1].pem


def _write_key(file: Path, key: rsa.RSAPrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.touch(0o600)
    file.write_bytes(text)


def _read(folder: Path, name: str, issuer: Signed | None) -> Signed:
    key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{folder / name}.key is no RSA key")
    return Signed(x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes()), key, issuer)


def _sign(name: str, issuer: Signed | None, *, authority: bool, days: int) -> Signed:
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(authority), critical=True)
    )
    return Signed(builder.sign(signer, hashes.SHA256()), key, issuer)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def pem(certificates: Sequence[Signed]) -> str:
    return "".join(signed.pem for signed in certificates)
