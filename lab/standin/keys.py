"""The key that signs the stand-in's packages: made on this machine, for this machine, kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.run import run
from lab.standin.cache import build_once, locked

OWNER = "Stand-in package signing (this machine only)"


@dataclass(frozen=True)
class SigningKey:
    """`home`: gpg's directory with the private key; `public`: the armoured public key."""

    home: Path
    public: str

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """For one process at a time; gpg's agent, which gpg starts, is ended at the end."""
        with locked(self.home.parent / ".lock"):
            try:
                yield
            finally:
                run(["gpgconf", "--homedir", self.home, "--kill", "gpg-agent"], timeout=30)


def signing_key(cache: Path) -> SigningKey:
    """The cache's signing key, made when it is not there."""

    def make(folder: Path) -> None:
        home = folder / "gpg"
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--batch", "--homedir", str(home)]
        run([*gpg, "--passphrase", "", "--quick-gen-key", OWNER, "rsa2048", "sign", "never"], timeout=120)
        (folder / "public.asc").write_text(run([*gpg, "--armor", "--export", OWNER], timeout=30).stdout)
        run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], timeout=30)

    folder = build_once(cache / "keys", "signing", "000000000001", make)
    return SigningKey(folder / "gpg", (folder / "public.asc").read_text())
