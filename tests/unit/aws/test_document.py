"""The module ssm_document against the document calls of Systems Manager."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError
from ansible_collections.ecommerce.fleet.plugins.modules import ssm_document


class FakeSsm:
    """The document calls of Systems Manager."""

    class exceptions:  # noqa: N801 - boto3's name
        class InvalidDocument(Exception):  # noqa: N818 - AWS's name
            pass

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.default = 0

    def get_document(self, **_: Any) -> dict[str, str]:
        if not self.versions:
            raise self.exceptions.InvalidDocument
        return {"Content": self.versions[self.default - 1], "DocumentVersion": str(self.default)}

    def create_document(self, Content: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.versions, self.default = [Content], 1
        return {"DocumentDescription": {"DocumentVersion": "1"}}

    def update_document(self, Content: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.versions.append(Content)
        return {"DocumentDescription": {"DocumentVersion": str(len(self.versions))}}

    def update_document_default_version(self, DocumentVersion: str, **_: Any) -> None:  # noqa: N803
        self.default = int(DocumentVersion)


def test_a_document_is_created_then_left_alone_then_updated_when_its_meaning_changes() -> None:
    ssm = FakeSsm()
    options = {"name": "patch", "content": "schemaVersion: '2.2'\n", "target_type": "/AWS::EC2::Instance"}
    assert ssm_document.ensure(ssm, options, False) == {"changed": True, "version": "1"}
    assert ssm_document.ensure(ssm, {**options, "content": 'schemaVersion: "2.2"  # same\n'}, False)["changed"] is False
    assert ssm_document.ensure(ssm, {**options, "content": "schemaVersion: '0.3'\n"}, False) == {
        "changed": True,
        "version": "2",
    }
    assert ssm.default == 2


def test_content_that_is_no_yaml_is_refused_with_the_place() -> None:
    options = {"name": "patch", "content": "a: [", "target_type": "/AWS::EC2::Instance"}
    with pytest.raises(UserError, match=r"(?s)not YAML.*line 1"):
        ssm_document.ensure(FakeSsm(), options, False)
