# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what a connection to hosts needs on the control node and in the account, before the first host is contacted."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils._aws.errors import AWS_ERRORS
from ..plugin_utils._session_manager import proxy

ARGUMENTS = {
    "connection": {"type": "str", "choices": ["session_manager_ssh", "aws_ssm", "ssh"], "required": True},
    "region": {"type": "str", "required": True},
    "bucket": {"type": "str", "default": ""},
}
PLUGIN = "session-manager-plugin"


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.check_connection``."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        problem = violation(arguments["connection"], arguments["region"], arguments["bucket"])
        if problem:
            result |= {"failed": True, "msg": f"{problem} Nothing was changed."}
        return result | {"connection": arguments["connection"]}


def violation(connection: str, region: str, bucket: str) -> str:
    """A sentence about what hosts can't be connected for; empty where nothing is in the way."""
    if connection == "session_manager_ssh":
        try:
            proxy.plugin(PLUGIN)
        except proxy.ProxyError as error:
            return str(error)
    if connection == "aws_ssm":
        return _bucket(region, bucket)
    return ""


def _bucket(region: str, bucket: str) -> str:
    if not bucket:
        return "fleet_session_manager_bucket is missing: fleet_connection aws_ssm passes modules and files through it."
    # Imported here: Ansible loads every action plugin of a playbook, also where it needs no AWS library.
    import boto3  # noqa: PLC0415

    try:
        status = boto3.client("s3", region_name=region).get_bucket_versioning(Bucket=bucket).get("Status", "")
    except AWS_ERRORS as error:
        return f"Asking whether bucket {bucket} (fleet_session_manager_bucket) keeps versions: {error}."
    if status == "Enabled":
        return (
            f"Bucket {bucket} (fleet_session_manager_bucket) keeps versions of its files: module arguments, with the secrets in them, "
            "would stay in it. Use a bucket without versioning, or suspend it and delete the old versions."
        )
    return ""
