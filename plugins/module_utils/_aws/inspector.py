# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Amazon Inspector and Systems Manager know about an instance, as findings. Control node only.

Sources: Inspector API Reference (BatchGetAccountStatus, ListCoverage, GetEc2DeepInspectionConfiguration), Systems Manager API Reference
(DescribeInstanceAssociationsStatus), "Managed EC2 scans" (Inspector User Guide).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

Finding = dict[str, str]

INVENTORY_ASSOCIATION = "InspectorInventoryCollection-do-not-delete"
"""The association that Inspector makes when it is enabled; it collects the inventory that findings are made from."""
SCANNED = "ACTIVE"


def finding(name: str, state: str, detail: str) -> Finding:
    """`state`: ok, missing, or unknown where it could not be asked."""
    return {"name": name, "state": state, "detail": detail}


def enabled(account: Mapping[str, Any]) -> Finding:
    """`account`: an entry of BatchGetAccountStatus."""
    status = str(account["resourceState"]["ec2"]["status"])
    if status == "ENABLED":
        return finding("account_enabled", "ok", f"EC2 scanning is {status} in account {account['accountId']}")
    advice = "enable it with `aws inspector2 enable --resource-types EC2`"
    return finding(
        "account_enabled", "missing", f"EC2 scanning is {status} in account {account['accountId']}; {advice}"
    )


def coverage(covered: Iterable[Mapping[str, Any]], instance_id: str) -> Finding:
    """`covered`: the resources of ListCoverage for this instance."""
    states = [entry.get("scanStatus", {}) for entry in covered if entry.get("resourceId") == instance_id]
    if not states:
        return finding(
            "coverage", "missing", f"Inspector does not know {instance_id}; it must be managed by Systems Manager"
        )
    shown = ", ".join(
        f"{state.get('statusCode', 'no status')} ({state.get('reason', 'no reason')})" for state in states
    )
    scanned = any(state.get("statusCode") == SCANNED for state in states)
    return finding("coverage", "ok" if scanned else "missing", f"{instance_id} is {shown}")


def inventory_age(statuses: Iterable[Mapping[str, Any]], now: datetime, hours: int) -> Finding:
    """`statuses`: the entries of DescribeInstanceAssociationsStatus; `hours`: how old the inventory may be."""
    own = [entry for entry in statuses if entry.get("AssociationName") == INVENTORY_ASSOCIATION]
    if not own:
        detail = f"{INVENTORY_ASSOCIATION} does not run here; Inspector makes it when it is enabled"
        return finding("inventory_association", "missing", detail)
    status, when = str(own[0].get("Status", "Pending")), own[0].get("ExecutionDate")
    if when is None:
        return finding(
            "inventory_association", "missing", f"{INVENTORY_ASSOCIATION} is {status} and has never run here"
        )
    age = now - when
    # Without its age, which differs at each run: the report is kept as a fact, and would change with it.
    fresh = status == "Success" and age <= timedelta(hours=hours)
    detail = f"{INVENTORY_ASSOCIATION} is {status}, " + (
        f"within {hours} h" if age <= timedelta(hours=hours) else f"not within {hours} h"
    )
    return finding("inventory_association", "ok" if fresh else "missing", detail)


def custom_paths(configured: Iterable[str], organization: Iterable[str], expected: Iterable[str]) -> Iterator[Finding]:
    """The deep-inspection paths that the account or its organization must know too."""
    known = {path.rstrip("/") for path in (*configured, *organization)}
    for path in expected:
        state = "ok" if path.rstrip("/") in known else "missing"
        advice = "" if state == "ok" else "; add it with `aws inspector2 update-ec2-deep-inspection-configuration`"
        yield finding("account_path", state, path + advice)
