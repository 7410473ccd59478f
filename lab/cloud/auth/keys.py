"""Whose access keys the lab accepts: its own, and the temporary ones that it has issued itself."""

from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.metadata.tree import RoleCredentials
from lab.settings import ACCESS_KEY, ACCOUNT_ID

ISSUED_PREFIX = "ASIAFLEETLAB"
ROLE_SECONDS = 6 * 3600


@dataclass(frozen=True)
class Holder:
    """Whom temporary credentials were issued to."""

    role: str
    session: str
    """The instance's id for a role of an instance, else the name that AssumeRole was given."""
    token: str
    expires: datetime

    @property
    def arn(self) -> str:
        return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.role}/{self.session}"


class Keyring:
    """Access keys that this lab has issued. They end with the process, like the records that they open."""

    def __init__(self) -> None:
        self._issued: dict[str, Holder] = {}
        self._change = threading.Lock()

    def issue(self, role: str, session: str, seconds: int = ROLE_SECONDS) -> RoleCredentials:
        """Temporary credentials; the metadata service hands them to instances (session: the instance's id)."""
        now = datetime.now(UTC)
        letters = string.ascii_uppercase + "234567"
        credentials = RoleCredentials(
            access_key_id=ISSUED_PREFIX + "".join(secrets.choice(letters) for _ in range(8)),
            secret_access_key=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(120),
            issued=now,
            expires=now + timedelta(seconds=seconds),
        )
        with self._change:
            self._issued = {k: h for k, h in self._issued.items() if h.expires > now}
            self._issued[credentials.access_key_id] = Holder(role, session, credentials.token, credentials.expires)
        return credentials

    def accepts(self, access_key: str | None) -> bool:
        """Whether it is the lab's own key, or one that was issued here and has not expired."""
        holder = self.holder(access_key or "")
        return access_key == ACCESS_KEY or (holder is not None and holder.expires > datetime.now(UTC))

    def holder(self, access_key: str) -> Holder | None:
        """None for a key that was not issued here."""
        return self._issued.get(access_key)


KEYS = Keyring()
"""This process's own: IMDS and STS issue from it, the gate asks it."""
