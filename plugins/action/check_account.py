# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose credentials are in use, asked by Ansible's own process, which has loaded the AWS library for its inventory."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

ARGUMENTS = {
    "region": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "hint": {"type": "str", "default": ""},
}
ADVICE = "Set AWS_PROFILE to a profile of this inventory's account, and log in (aws sso login)."


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.check_account``."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        region, expected = arguments["region"], arguments["account_id"]
        try:
            found = account(region)
        except Exception as error:
            advice = arguments["hint"] or ADVICE
            message = f"Asking AWS in {region} whose credentials are in use: {error}. Nothing was changed. {advice}"
            return result | {"failed": True, "msg": message}
        if found != expected:
            message = (
                f"The credentials in use belong to account {found}, but inventory {arguments['environment_name']} is for account "
                f"{expected} (fleet_account_id). Nothing was changed. Use that account's credentials, or the right inventory with -i."
            )
            return result | {"failed": True, "msg": message}
        return result | {"account": found}


def account(region: str) -> str:
    """The account of the credentials. Raises botocore's errors."""
    # Imported here: Ansible loads every action plugin of a playbook, also where it needs no AWS library.
    import boto3  # noqa: PLC0415

    return boto3.client("sts", region_name=region).get_caller_identity()["Account"]
