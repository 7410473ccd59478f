from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.filter.cyclonedx import cyclonedx

PACKAGES = {
    "openssl-libs": [
        {"name": "openssl-libs", "version": "3.0.8", "release": "1.amzn2023", "epoch": 1, "arch": "x86_64"}
    ],
    "kernel": [
        {"name": "kernel", "version": "6.1.2", "release": "1", "epoch": None, "arch": "x86_64"},
        {"name": "kernel", "version": "6.1.1", "release": "1", "epoch": None, "arch": "x86_64"},
    ],
    "gpg-pubkey": [{"name": "gpg-pubkey", "version": "abc", "release": "def", "epoch": None, "arch": None}],
}


def test_every_installed_version_is_listed_and_keys_are_not() -> None:
    components = cyclonedx(PACKAGES, "amzn-2023", "web-1")["components"]
    assert [(c["name"], c["version"]) for c in components] == [
        ("kernel", "6.1.1-1"),
        ("kernel", "6.1.2-1"),
        ("openssl-libs", "3.0.8-1.amzn2023"),
    ]


def test_a_component_is_named_by_its_package_url() -> None:
    component = cyclonedx(PACKAGES, "amzn-2023", "web-1")["components"][-1]
    assert component["purl"] == "pkg:rpm/amzn/openssl-libs@3.0.8-1.amzn2023?arch=x86_64&distro=amzn-2023&epoch=1"


def test_the_same_packages_give_the_same_document_in_any_order() -> None:
    turned = dict(reversed(list(PACKAGES.items())))
    assert cyclonedx(PACKAGES, "amzn-2023", "web-1") == cyclonedx(turned, "amzn-2023", "web-1")


def test_another_version_gives_another_serial_number() -> None:
    newer = {
        **PACKAGES,
        "nginx": [{"name": "nginx", "version": "1.26", "release": "1", "epoch": None, "arch": "x86_64"}],
    }
    assert cyclonedx(PACKAGES, "amzn-2023", "a")["serialNumber"] != cyclonedx(newer, "amzn-2023", "a")["serialNumber"]


def test_anything_but_package_facts_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="not list"):
        cyclonedx([], "amzn-2023", "web-1")
