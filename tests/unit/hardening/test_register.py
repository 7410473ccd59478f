"""The register: what is committed is right, and what is wrong in one is named with file and line."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import (
    Control,
    RegisterError,
    check_state,
    load,
)
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.selection import (
    check_in_use,
    check_overrides,
    exemptions,
    selected,
)

CONTROLS = Path(__file__).parents[3] / "controls"
TODAY = datetime.date(2026, 11, 25)

GOOD = """\
- id: some-control
  title: A title
  level: 1
  severity: low
  rationale: Because.
  type: file
  state: {path: /etc/f, mode: "0600"}
"""


@pytest.fixture(scope="module")
def controls() -> list[Control]:
    return load([CONTROLS])


def test_the_committed_register_is_valid_and_large_enough(controls: list[Control]) -> None:
    assert len(controls) >= 390


def test_every_control_says_why_and_maps_to_a_framework(controls: list[Control]) -> None:
    assert [c.id for c in controls if not c.rationale.rstrip().endswith(".") or not c.maps] == []


SPREAD = {
    "1.2.2", "1.4.4", "1.5.3", "2.1.1", "2.1.2", "2.2.18", "2.2.8", "4.3.6", "4.3.7", "4.4.2.1.2", "4.5.3.3", "4.5.4", "4.6.5", "5.1.3",
    "5.1.4",
}  # fmt: skip
"""Recommendations about several things: a package and its service, a setting and the modes of files, web servers."""


def test_no_cis_number_is_used_for_things_of_different_kinds(controls: list[Control]) -> None:
    """Several controls may make up one recommendation; they are in one section of the register then, but for these."""
    for release in ("al2", "al2023"):
        sections: dict[str, set[str]] = {}
        for control in controls:
            for number in control.cis.get(release, []):
                sections.setdefault(number, set()).add(control.section)
        mixed = {number: where for number, where in sections.items() if len(where) > 1}
        assert set(mixed) <= SPREAD, mixed


def test_titles_are_unique(controls: list[Control]) -> None:
    titles = [control.title for control in controls]
    assert [title for title in titles if titles.count(title) > 1] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("  level: 1\n", "  level: 3\n"), r"controls\.yml:3: level is 3; allowed: 1, 2"),
        (("  type: file\n", "  type: fiel\n"), r"controls\.yml:6: type is 'fiel'"),
        (('mode: "0600"', "mode: 0600"), r"controls\.yml:7: mode must be a mode in quotes"),
        (("path: /etc/f, ", ""), r"controls\.yml:7: a control of type file needs state\.path"),
        (('mode: "0600"', 'mdoe: "0600"'), r"controls\.yml:7: type file has no field mdoe"),
        (("  title: A title\n", ""), r"controls\.yml:1: title is missing"),
        (("  severity: low\n", "  severity: low\n  owner: me\n"), r"controls\.yml:5: unknown field owner"),
        (("some-control", "Some Control"), r"controls\.yml:1: id must be lower-case"),
        (("  level: 1\n", "  level: 1\n  cis: {al2: 4.2}\n"), r"controls\.yml:4: 4\.2 is not a CIS number in quotes"),
        (
            ("  level: 1\n", "  level: 1\n  cis: {al2: ['4.2', 4.3]}\n"),
            r"controls\.yml:4: 4\.3 is not a CIS number in quotes",
        ),
        (("  level: 1\n", "  level: 1\n  cis: {al3: '4.2'}\n"), r"controls\.yml:4: cis knows al2, al2023, not al3"),
        (("  level: 1\n", "  level: 1\n  applies: {release: al2}\n"), r"controls\.yml:4: applies knows"),
        (("  level: 1\n", "  level: [\n"), r"controls\.yml:\d+: cannot be read"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "controls.yml").write_text(GOOD.replace(*change))
    with pytest.raises(RegisterError, match=message):
        load([tmp_path])


def test_an_id_that_is_taken_is_named_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(GOOD)
    (tmp_path / "b.yml").write_text("---\n" + GOOD)
    with pytest.raises(RegisterError, match=r"b\.yml:2: id some-control is taken: .*a\.yml:1 has it"):
        load([tmp_path])


def test_an_empty_directory_is_not_a_register(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match="has no"):
        load([tmp_path])


def entry(**more: Any) -> dict[str, Any]:
    return {"control": "ssh-no-x11", "reason": "r", "owner": "o", "expires": "2026-11-25", **more}


def test_an_exception_is_valid_on_its_last_day() -> None:
    assert exemptions([entry()], {"ssh-no-x11"}, TODAY)[0].days_left(TODAY) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (entry(expires="2026-11-24"), "expired on 2026-11-24"),
        (entry(control="nothing"), "there is no control nothing"),
        (entry(expires="soon"), "'soon', not a date"),
        (entry(owner=" "), "owner must not be empty"),
        ({"control": "ssh-no-x11"}, "needs exactly control, reason, owner, expires"),
    ],
)
def test_a_wrong_exception_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RegisterError, match=message):
        exemptions([wrong], {"ssh-no-x11"}, TODAY)


def test_overrides_are_held_against_the_schema(controls: list[Control]) -> None:
    check_overrides({"banner-issue": {"content": "Ours\n"}}, controls)
    with pytest.raises(RegisterError, match="there is no control banner"):
        check_overrides({"banner": {"content": "Ours\n"}}, controls)
    with pytest.raises(RegisterError, match="type file has no field text"):
        check_overrides({"banner-issue": {"text": "Ours\n"}}, controls)


def test_an_override_reaches_the_host_in_every_release(controls: list[Control]) -> None:
    control = next(c for c in controls if c.id == "ssh-key-exchange")
    sent = control.for_host({"value": "curve25519-sha256"})
    assert {sent["state"]["value"], sent["per_os"]["al2"]["value"]} == {"curve25519-sha256"}


def test_level_two_includes_level_one(controls: list[Control]) -> None:
    assert len(selected(controls, 2)) == len(controls)
    assert {c.level for c in selected(controls, 1)} == {1}


def test_unknown_kinds_of_use_are_refused() -> None:
    with pytest.raises(RegisterError, match="ports, services, users, mounts"):
        check_in_use({"port": [22]})


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("{skip: no time}", "not skip"),
        ("{by_hand: ''}", "says why no machine can show it"),
        ("{by_hand: no such disk, break: x}", "stands alone"),
        ("{outside: true, break: x}", "outside needs break and repair"),
        ("[x]", "test must be a mapping"),
    ],
)
def test_a_control_can_not_go_without_a_test(tmp_path: Path, test: str, message: str) -> None:
    (tmp_path / "a.yml").write_text(f"{GOOD}  test: {test}\n")
    with pytest.raises(RegisterError, match=message):
        load([tmp_path])


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"present": [{"pattern": r"^=/a.d/", "line": r"=/a\.d/x p+u"}]}, ["does not find its own line"]),
        ({"present": [{"pattern": r"^=/a\\[.]d/", "line": r"=/a\.d/x p+u"}]}, []),
        ({"replace": [{"pattern": "^umask", "line": "umask 027"}]}, ["still finds its own line"]),
        ({"replace": [{"pattern": "^umask 0(?!27)", "line": "umask 027"}]}, []),
    ],
)
def test_a_line_that_would_be_written_in_each_run_is_refused(state: dict[str, Any], said: list[str]) -> None:
    found = [text for _place, text in check_state("lines", {"path": "/etc/x", **state})]
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))
