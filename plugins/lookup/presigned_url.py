# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address from which a host can fetch an artifact without credentials of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
name: presigned_url
short_description: Address from which a host can fetch an S3 object without credentials
description:
  - Turns C(s3://bucket/key) into a presigned HTTPS address, signed with the control node's credentials. It is a secret while it is valid.
  - Any other address is returned as it is. Nothing is asked of AWS; the signature is computed here.
version_added: 0.1.0
options:
  _terms: {description: Addresses., required: true}
  region: {description: The bucket's region. Without it the environment's., type: str}
  seconds: {description: How long the address is valid., type: int, default: 900}
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Fetch a release
  ansible.builtin.get_url:
    url: "{{ lookup('ecommerce.fleet.presigned_url', 's3://artifacts/shop-1.0.0.tar.gz', region='us-east-1') }}"
    dest: /tmp/shop.tar.gz
    mode: "0600"
  no_log: true
"""

RETURN = r"""
_raw:
  description: One address per term.
  type: list
  elements: str
"""

from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


def bucket_and_key(address: str) -> tuple[str, str]:
    """Splits `s3://bucket/key`. Raises ValueError if one of them is missing."""
    parts = urlsplit(address)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise ValueError(f"'{address}' is not s3://bucket/key")
    return parts.netloc, key


def presign(address: str, region: str | None, seconds: int) -> str:
    """The presigned address of `s3://bucket/key`."""
    # Imported here: most addresses need no AWS library, and a run over many hosts would load it in every worker.
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    bucket, key = bucket_and_key(address)
    client: Any = botocore.session.get_session().create_client(
        "s3", region_name=region, config=Config(signature_version="s3v4")
    )
    url: str = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds)
    return url


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        region, seconds = self.get_option("region"), self.get_option("seconds")
        return [self._one(term, region, seconds) for term in terms]

    def _one(self, term: str, region: str | None, seconds: int) -> str:
        if not term.startswith("s3://"):
            return term
        try:
            return presign(term, region, seconds)
        except Exception as error:
            raise AnsibleError(
                f"Could not sign an address for {term}: {error}. The control node needs AWS credentials that may read it, and a region "
                f"(app_runtime_artifact_region or AWS_REGION)."
            ) from error
