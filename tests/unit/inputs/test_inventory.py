"""No host is left out without a word."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs.inventory import Inventory, unread, violations

WEB = {"Role": "web"}


def member(name: str, lifecycle: str = "InService") -> dict[str, str]:
    return {"InstanceId": name, "AvailabilityZone": "us-east-1a", "LifecycleState": lifecycle}


def found(
    tags: dict[str, dict[str, str]], *members: dict[str, str], limit: str | None = None, chosen: str = ""
) -> list[str]:
    web = frozenset(host for host, own in tags.items() if own.get("Role") == "web")
    return violations(Inventory(tags, web, frozenset(chosen.split()) or frozenset(tags), limit), "web", "shop", members)


def test_an_inventory_with_every_host_of_the_group_is_no_violation() -> None:
    assert found({"i-1": WEB, "i-2": WEB, "i-3": {"Role": "worker"}}, member("i-1"), member("i-2")) == []


@pytest.mark.parametrize("role", ["Web", "WEB", " web", "web ", ""])
def test_a_host_whose_tag_is_misspelt_is_named_with_its_tag(role: str) -> None:
    (sentence,) = found({"i-1": WEB, "i-2": {"Role": role}})
    assert sentence.startswith(f"i-2 has the tag Role='{role}'")


def test_a_host_without_the_tag_is_named() -> None:
    (sentence,) = found({"i-1": WEB, "i-2": {"Name": "x"}})
    assert sentence.startswith("i-2 has no tag Role")


def test_a_host_of_the_group_that_the_inventory_lacks_is_named() -> None:
    (sentence,) = found({"i-1": WEB}, member("i-1"), member("i-2", "Standby"))
    assert "i-2 (us-east-1a, Standby) is in Auto Scaling group shop and not in the inventory" in sentence


def test_a_host_of_the_group_with_another_role_is_named() -> None:
    (sentence,) = found({"i-1": WEB, "i-2": {"Role": "worker"}}, member("i-2"))
    assert "in the inventory, but not in its group web" in sentence


@pytest.mark.parametrize(
    "lifecycle", ["Pending", "Pending:Wait", "Terminating", "Terminating:Wait", "Terminated", "Detaching"]
)
def test_a_host_that_comes_or_goes_may_be_missing(lifecycle: str) -> None:
    assert found({"i-1": WEB}, member("i-2", lifecycle)) == []


def test_a_run_without_web_hosts_is_refused() -> None:
    assert "no host in group web" in found({})[0]


def test_a_limit_that_leaves_no_web_host_is_refused() -> None:
    assert found({"i-1": WEB, "i-2": {"Role": "worker"}}, limit="i-2", chosen="i-2") == [
        "--limit i-2 leaves no host of group web."
    ]
    assert found({"i-1": WEB, "i-2": {"Role": "worker"}}, limit="i-1", chosen="i-1") == []


def test_a_source_that_could_not_be_read_is_named() -> None:
    assert "inventory's /a could not be read" in unread(["/a", "/b"], ["/b"])[0]
    assert unread(["/a"], None) == []
