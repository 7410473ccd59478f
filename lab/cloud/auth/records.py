"""STS: who am I, and temporary credentials that the gate then accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.sts import urls
from moto.sts.exceptions import STSClientError
from moto.sts.models import AssumedRole, STSBackend

from lab.cloud.auth.keys import KEYS
from lab.settings import ACCOUNT_ID

PERSON = "lab"
"""The user that the lab's own access key belongs to."""


@dataclass(frozen=True)
class Caller:
    """Who makes a request."""

    name: str
    """The user's name, or that of a role's session."""
    arn: str


def caller(access_key: str) -> Caller:
    """The holder of an access key that the gate has let pass."""
    holder = KEYS.holder(access_key)
    if holder is None:
        return Caller(PERSON, f"arn:aws:iam::{ACCOUNT_ID}:user/{PERSON}")
    return Caller(holder.session, holder.arn)


class LabSts(STSBackend):
    _url_module = urls

    def assume_role(self, *args: Any, **kwargs: Any) -> AssumedRole:
        """moto lets anybody assume any role, also one that does not exist."""
        arn = kwargs["role_arn"]
        if arn not in {role.arn for role in iam_backends[ACCOUNT_ID]["aws"].get_roles()}:
            raise STSClientError(
                "AccessDenied", f"User: {PERSON} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            )
        assumed = super().assume_role(*args, **kwargs)
        issued = KEYS.issue(arn.rpartition("/")[2], assumed.session_name, int(kwargs["duration"]))
        assumed.access_key_id = issued.access_key_id
        assumed.secret_access_key = issued.secret_access_key
        assumed.session_token, assumed.expiration = issued.token, issued.expires.replace(tzinfo=None)
        return assumed

    def get_caller_identity(self, access_key_id: str, region: str) -> tuple[str, str, str]:
        """(user id, ARN, account)."""
        holder = KEYS.holder(access_key_id)
        if holder is None:
            return "AIDAFLEETLAB00000000", caller(access_key_id).arn, ACCOUNT_ID
        role = next(r for r in iam_backends[ACCOUNT_ID]["aws"].get_roles() if r.name == holder.role)
        return f"{role.id}:{holder.session}", holder.arn, ACCOUNT_ID
