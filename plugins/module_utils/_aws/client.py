# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that retry, and all pages of an answer."""

from __future__ import annotations

from typing import Any

RETRIES = {"mode": "standard", "max_attempts": 8}
"""botocore's own retries, with backoff and jitter, for every call and every page. The module option ``aws_config`` overrides them."""


def client(module: Any, service: str, region: str | None = None) -> Any:
    """A boto3 client for the module's region, or another one."""
    place = {"region": region} if region else {}
    return module.client(service, config={"retries": RETRIES}, **place)


def paginate(client: Any, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
    """All items under ``key`` of a paginated operation."""
    pages = client.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page[key]]
