"""What a module documents is what it takes: each option is in its argument specification, with the same type, default and choices."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.doc_fragments.files import ModuleDocFragment

from tests.support.host_modules import HOST_SIDE

# Its action plugin takes options of its own.
NAMES = [name for name in HOST_SIDE if name != "hardening"]
COMPARED = ("type", "elements", "required", "default", "choices")
KNOWN = {*COMPARED, "description", "suboptions", "version_added", "aliases"}
UNSPOKEN = {"type": "str", "required": False}
AUTHOR = "The ecommerce.fleet maintainers (@ecommerce-fleet)"
FRAGMENTS = {"ecommerce.fleet.files": "DOCUMENTATION", "ecommerce.fleet.files.unit_files": "UNIT_FILES"}


class Specified(Exception):  # noqa: N818 - it carries what was asked for
    def __init__(self, specification: dict[str, Any]) -> None:
        super().__init__("the argument specification")
        self.specification = specification


def specification(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the module gives AnsibleModule."""

    def capture(argument_spec: dict[str, Any], **_more: Any) -> None:
        raise Specified(argument_spec)

    module = importlib.import_module(f"ansible_collections.ecommerce.fleet.plugins.modules.{name}")
    monkeypatch.setattr(module, "AnsibleModule", capture)
    with pytest.raises(Specified) as caught:
        module.main()
    return caught.value.specification


def documentation(name: str) -> dict[str, Any]:
    """The module's documentation with the options of its fragments."""
    module = importlib.import_module(f"ansible_collections.ecommerce.fleet.plugins.modules.{name}")
    found: dict[str, Any] = yaml.safe_load(module.DOCUMENTATION)
    for fragment in found.get("extends_documentation_fragment", []):
        found["options"] |= yaml.safe_load(getattr(ModuleDocFragment, FRAGMENTS[fragment]))["options"]
    return found


def plain(options: dict[str, Any], inner: str) -> dict[str, Any]:
    """The compared properties by the option's path; `inner` is where suboptions are."""
    found: dict[str, Any] = {}
    for name, option in options.items():
        own = {key: option[key] for key in COMPARED if option.get(key) is not None}
        found[name] = UNSPOKEN | own
        found |= {f"{name}.{sub}": value for sub, value in plain(option.get(inner) or {}, inner).items()}
    return found


def unknown(options: dict[str, Any], where: str = "") -> list[str]:
    """Keys that mean nothing, as a comma or a colon in a description makes them."""
    found = []
    for name, option in options.items():
        found += [f"{where}{name}: {key}" for key in option if key not in KNOWN]
        found += unknown(option.get("suboptions") or {}, f"{where}{name}.")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_documented_option_is_the_one_that_the_module_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    documented = documentation(name)
    assert unknown(documented["options"]) == []
    assert plain(documented["options"], "suboptions") == plain(specification(name, monkeypatch), "options")


@pytest.mark.parametrize("name", NAMES)
def test_a_module_says_who_wrote_it_and_what_it_does_in_check_mode(name: str) -> None:
    documented = documentation(name)
    assert documented["author"] == [AUTHOR]
    assert documented["attributes"]["check_mode"]["support"] in ("full", "partial")
