"""What playbooks read from Parameter Store."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.filter.parameter import json_parameter, release_parameter

RELEASE = {"version": "1.1.0", "kind": "nodejs", "url": "s3://shop/1.1.0.tar.gz", "sha256": "0" * 64}


@pytest.mark.parametrize("missing", ["", None, []])
def test_a_parameter_that_is_not_there_is_empty(missing: object) -> None:
    assert json_parameter(missing, "/fleet/x") == release_parameter(missing, "/fleet/x") == {}


def test_a_release_is_what_was_published() -> None:
    runtime = {"url": "s3://shop/node.tar.xz", "sha256": "1" * 64}
    for release in (RELEASE, {**RELEASE, "runtime": runtime}):
        assert release_parameter(json.dumps(release), "/fleet/x") == release


@pytest.mark.parametrize("text", ["2.4.1", "[]", "null", "{", '"1.1.0"', "\ufeff{}"])
def test_what_is_no_json_object_is_refused_by_the_parameters_name(text: str) -> None:
    for read in (json_parameter, release_parameter):
        with pytest.raises(AnsibleFilterError, match=r"^Parameter /fleet/x is no JSON object; look at who wrote it"):
            read(text, "/fleet/x")


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"sha256": None}, "sha256"),
        ({"version": 1.1}, "version"),
        ({"kind": "perl"}, "nodejs, python, java"),
        ({"url": ["s3://shop/x"]}, "url"),
    ],
)
def test_a_release_that_is_not_whole_is_refused_before_a_host_is_drained(changed: dict[str, object], part: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^Parameter /fleet/x is no release: .*{part}.* Publish one with"):
        release_parameter(json.dumps(RELEASE | changed), "/fleet/x")
    lacking = {key: value for key, value in RELEASE.items() if key not in changed}
    with pytest.raises(AnsibleFilterError, match="is no release"):
        release_parameter(json.dumps(lacking), "/fleet/x")
