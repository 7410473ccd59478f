"""Whether a certificate may sign keys: its name, its chain up to what the system trusts, and OCSP for each link. By openssl."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

BUNDLE = Path("/etc/pki/tls/certs/ca-bundle.crt")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")


class SignerError(Exception):
    """Why no key is trusted."""


class Signer:
    """A certificate that was checked. `folder`: for files that openssl reads."""

    def __init__(
        self, name: str, chain: str, answers: Mapping[str, bytes], folder: Path, bundle: Path = BUNDLE
    ) -> None:
        self._folder = folder
        links = CERTIFICATE.findall(chain)
        if not links:
            raise SignerError("there is no signer certificate")
        files = [self._file(f"certificate{number}.pem", text.encode()) for number, text in enumerate(links)]
        self._check_name(files[0], name)
        untrusted = self._file("untrusted.pem", "".join(links[1:]).encode())
        if openssl("verify", "-x509_strict", "-CAfile", bundle, "-untrusted", untrusted, files[0]).returncode != 0:
            raise SignerError("the signer's certificate does not lead to one that the system trusts")
        trusted = CERTIFICATE.findall(bundle.read_text())
        for file, text, issuer in zip(files, links, files[1:], strict=False):
            if text.strip() not in {known.strip() for known in trusted}:
                self._check_revocation(file, issuer, answers)
        self._key = self._file("key.pem", openssl("x509", "-pubkey", "-noout", "-in", files[0]).stdout)

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    def _check_name(self, file: Path, name: str) -> None:
        subject = openssl("x509", "-noout", "-subject", "-nameopt", "multiline", "-in", file).stdout.decode()
        found = re.search(r"^\s*commonName\s*=\s*(.*)$", subject, re.MULTILINE)
        if found is None or found.group(1).strip() != name:
            raise SignerError(f"the signer's certificate is not {name}'s")

    def _check_revocation(self, file: Path, issuer: Path, answers: Mapping[str, bytes]) -> None:
        shown = openssl("x509", "-noout", "-fingerprint", "-sha1", "-in", file).stdout.decode()
        fingerprint = shown.partition("=")[2].strip().replace(":", "")
        if fingerprint not in answers:
            raise SignerError("there is no OCSP answer about the signer's certificate")
        answer = self._file("answer.der", answers[fingerprint])
        about = ("-issuer", issuer, "-cert", file, "-VAfile", issuer, "-respin", answer)
        done = openssl("ocsp", "-no_nonce", *about)
        if done.returncode != 0 or not done.stdout.decode().startswith(f"{file}: good"):
            raise SignerError("whether the signer's certificate was revoked is not known")

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether this signer signed the text."""
        data, made = self._file("data", text), self._file("signature", signature)
        return openssl("dgst", "-sha256", *PSS, "-verify", self._key, "-signature", made, data).returncode == 0


def openssl(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/usr/bin/openssl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
