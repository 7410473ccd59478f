# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""A report of the hardening controls in short, for the manifest of an image."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils.hardening import report


def control_summary(text: str, name: str) -> dict[str, Any]:
    """The report in short. Raises AnsibleFilterError if the text is no report of role hardening."""
    try:
        return report.summary_of(text, name)
    except (ValueError, KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"{name} is no report of the hardening controls ({type(error).__name__}: {error}); name the JSON file of one host, "
            "as role hardening writes it to hardening_report_dir"
        ) from error


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"control_summary": control_summary}
