# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of an image. Control node only."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

from ansible.errors import AnsibleFilterError

# A fixed namespace: the same contents give the same serial number, so that a second run changes nothing.
NAMESPACE = uuid.UUID("6f1f5c0e-1b5c-5f43-9a2e-0d6f0c7e4a11")


def purl(package: dict[str, Any], distribution: str) -> str:
    """Package URL of an RPM (package-url specification, type rpm): pkg:rpm/amzn/openssl@3.0.8-1?arch=x86_64&distro=amzn-2023&epoch=1."""
    qualifiers = [("arch", package.get("arch")), ("distro", distribution), ("epoch", package.get("epoch"))]
    query = "&".join(f"{key}={quote(str(value))}" for key, value in qualifiers if value not in (None, "", 0, "0"))
    return f"pkg:rpm/amzn/{quote(package['name'])}@{quote(evr(package))}?{query}"


def evr(package: dict[str, Any]) -> str:
    """Version and release as RPM writes them."""
    release = package.get("release")
    return f"{package['version']}-{release}" if release else str(package["version"])


def component(package: dict[str, Any], distribution: str) -> dict[str, Any]:
    reference = purl(package, distribution)
    return {
        "type": "library",
        "bom-ref": reference,
        "name": package["name"],
        "version": evr(package),
        "purl": reference,
    }


def cyclonedx(packages: dict[str, list[dict[str, Any]]], distribution: str, name: str) -> dict[str, Any]:
    """The packages of a host as a CycloneDX 1.5 bill of materials.

    ``packages`` is what ansible.builtin.package_facts returns, ``distribution`` such as ``amzn-2023``, ``name`` that of the image. The
    result depends on nothing else: no time, no random number. Imported signing keys (gpg-pubkey) are no packages.
    """
    if not isinstance(packages, dict):
        raise AnsibleFilterError(f"cyclonedx takes the dictionary of package_facts, not {type(packages).__name__}")
    listed = [one for versions in packages.values() for one in versions if one["name"] != "gpg-pubkey"]
    components = sorted((component(one, distribution) for one in listed), key=lambda item: str(item["bom-ref"]))
    serial = uuid.uuid5(NAMESPACE, json.dumps([name, components], sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "operating-system", "name": name, "version": distribution}},
        "components": components,
    }


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"cyclonedx": cyclonedx}
