#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
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
    content: "{{ lookup('ansible.builtin.file', 'ssm/patch.yml') }}"
"""

RETURN = r"""
version:
  description: The default version afterwards.
  returned: success
  type: str
"""

from typing import Any

import yaml
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]


def current(ssm: Any, name: str) -> tuple[Any, str] | None:
    """Content (parsed) and number of the default version; None if there is no such document."""
    try:
        found = ssm.get_document(Name=name, DocumentVersion="$DEFAULT", DocumentFormat="YAML")
    except ssm.exceptions.InvalidDocument:
        return None
    return yaml.safe_load(found["Content"]), found["DocumentVersion"]


def ensure(ssm: Any, wanted: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Create or update; the content is compared as data, since formatting carries no meaning."""
    name, content = wanted["name"], wanted["content"]
    found = current(ssm, name)
    if found and found[0] == yaml.safe_load(content):
        return {"changed": False, "version": found[1]}
    if check_mode:
        return {"changed": True, "version": found[1] if found else ""}
    if found is None:
        made = ssm.create_document(
            Name=name, Content=content, DocumentType="Command", DocumentFormat="YAML", TargetType=wanted["target_type"]
        )
        return {"changed": True, "version": made["DocumentDescription"]["DocumentVersion"]}
    updated = ssm.update_document(
        Name=name, Content=content, DocumentVersion="$LATEST", DocumentFormat="YAML", TargetType=wanted["target_type"]
    )
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
    try:
        result = ensure(module.client("ssm"), module.params, module.check_mode)
    except yaml.YAMLError as error:
        module.fail_json(msg=f"content of document {module.params['name']} is not YAML: {error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"document {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
