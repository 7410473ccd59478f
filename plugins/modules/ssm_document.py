#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a Systems Manager command document in step with its file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssm_document
short_description: Keep a Systems Manager command document in step with its file
version_added: 0.1.0
description:
  - Creates the document, or adds a version and makes it the default when the content differs. Runs on the control node.
options:
  name:
    description: Name of the document.
    type: str
    required: true
  content:
    description: The document in YAML, schema version 2.2.
    type: str
    required: true
  target_type:
    description: What kind of resource the document runs on.
    type: str
    default: /AWS::EC2::Instance
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Publish the patch document
  ecommerce.fleet.ssm_document:
    name: fleet-patch-host
    content: "{{ lookup('ansible.builtin.file', 'patch.yml') }}"
"""

RETURN = r"""
version:
  description: The default version afterwards.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError, reported

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]


def parse(content: str) -> Any:
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise UserError(f"its content is not YAML: {error}") from error


def current(ssm: Any, name: str) -> tuple[Any, str] | None:
    """Content (parsed) and number of the default version; None if there is no such document."""
    try:
        found = ssm.get_document(Name=name, DocumentVersion="$DEFAULT", DocumentFormat="YAML")
    except ssm.exceptions.InvalidDocument:
        return None
    return yaml.safe_load(found["Content"]), found["DocumentVersion"]


def ensure(ssm: Any, options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Create or update; the content is compared as data, since formatting carries no meaning."""
    name, content = options["name"], options["content"]
    desired, found = parse(content), current(ssm, name)
    if found and found[0] == desired:
        return {"changed": False, "version": found[1]}
    if check_mode:
        return {"changed": True, "version": found[1] if found else ""}
    document = {"Name": name, "Content": content, "DocumentFormat": "YAML", "TargetType": options["target_type"]}
    if found is None:
        created = ssm.create_document(DocumentType="Command", **document)
        return {"changed": True, "version": created["DocumentDescription"]["DocumentVersion"]}
    updated = ssm.update_document(DocumentVersion="$LATEST", **document)
    version = updated["DocumentDescription"]["DocumentVersion"]
    ssm.update_document_default_version(Name=name, DocumentVersion=version)
    return {"changed": True, "version": version}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "content": {"type": "str", "required": True},
            "target_type": {"type": "str", "default": "/AWS::EC2::Instance"},
        },
        supports_check_mode=True,
    )
    if yaml is None:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    with reported(module, f"document {module.params['name']}"):
        result = ensure(client(module, "ssm"), module.params, module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
