# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Filters of the role cloudwatch_agent: its variables checked and turned into the agent's configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import cloudwatch_agent_config as pure

DOCUMENTATION = r"""
name: cloudwatch_agent
short_description: The CloudWatch agent's configuration from the variables of the role cloudwatch_agent
version_added: 0.1.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives the JSON document for the agent's drop-in folder.
  - Fails with one line per fault when a plugin, measurement, dimension, retention or log file is not one that the service knows. The
    agent's own schema lets most of these pass and then collects nothing.
options:
  _input:
    description: The role's variables without their prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
configuration: "{{ settings | ecommerce.fleet.cloudwatch_agent }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: dict
"""


def cloudwatch_agent(settings: dict[str, Any]) -> dict[str, Any]:
    faults = cloudwatch_agent_findings(settings)
    if faults:
        raise AnsibleFilterError("The CloudWatch agent's configuration:\n" + "\n".join(faults))
    document: dict[str, Any] = pure.config(settings)
    return document


def cloudwatch_agent_findings(settings: dict[str, Any]) -> list[str]:
    try:
        faults: list[str] = pure.findings(settings)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"reading the CloudWatch agent's variables: {error!r}; see the role's argument specs for their shape"
        raise AnsibleFilterError(message) from error
    return faults


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cloudwatch_agent": cloudwatch_agent, "cloudwatch_agent_findings": cloudwatch_agent_findings}
