"""Whether a caller's policies allow a call. The lab asks for few calls only: those that a host's own role must not make."""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.models import iam_backends

from lab.cloud.auth.keys import Holder
from lab.cloud.auth.records import PERSON
from lab.settings import ACCOUNT_ID

PERSON_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/{PERSON}"


def allows(holder: Holder | None, action: str, resource: str) -> bool:
    """By the policies of the holder's role; a statement with a condition allows nothing. No holder: the lab's own key, which may do all."""
    if holder is None:
        return True
    role = next((role for role in iam_backends[ACCOUNT_ID]["aws"].get_roles() if role.name == holder.role), None)
    if role is None:
        return False
    policies: list[Any] = [*role.policies.values(), *role.managed_policies.values()]
    results = {IAMPolicy(policy).is_action_permitted(action, resource) for policy in policies}
    return PermissionResult.PERMITTED in results and PermissionResult.DENIED not in results
