# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report of the hardening controls in short, for the manifest of an image."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ansible.errors import AnsibleFilterError

# Every worker process that uses any filter of this collection loads this file: nothing that takes long is imported here.


def control_summary(text: str, name: str) -> dict[str, Any]:
    """What a manifest says of a host's report, whose file's text is given: enough to tell the result and to recognise the file.

    Raises AnsibleFilterError if the text is no report of role hardening.
    """
    try:
        report = json.loads(text)
        return {
            "report": name,
            "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
            **{key: report[key] for key in ("when", "release", "score", "summary", "exceptions")},
            "results": {entry["id"]: entry["status"] for entry in report["controls"]},
        }
    except (ValueError, KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"{name} is no report of the hardening controls ({type(error).__name__}: {error}); name the JSON file of one host, "
            "as role hardening writes it to hardening_report_dir"
        ) from error


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"control_summary": control_summary}
