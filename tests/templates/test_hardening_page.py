"""The hardening report as people see it: in a real browser, light and dark, on a phone and on paper."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening import report
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.selection import Exemption

from tests.support.browser import CHROMIUM, DRIVER, Browser
from tests.support.hardening.cases import REGISTER

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no Chromium with its driver: scripts/setup")

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
CONTROLS = REGISTER[::20]
STATUSES = ("pass", "fail", "error", "changed", "excepted", "not_applied_here", "not_applicable")
PATH = "/usr/share/a-folder-with-a-name-that-is-longer-than-a-line-of-a-phone-is-wide/and-more-of-it"
EVIDENCE = "evidence-of-a-closed-row"


def made(host: str, shift: int, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """A report with every status."""
    facts = report.HostFacts(host, NOW + datetime.timedelta(days=shift), audit=True, release="al2023", container=False)
    results = [
        {
            "id": control.id,
            "status": (status := STATUSES[(number + shift) % len(STATUSES)]),
            "changed": False,
            "reason": "" if status in ("pass", "changed") else f"{PATH} is 0666, desired 0644",
            "evidence": [EVIDENCE, f"{PATH}: 0666"],
        }
        for number, control in enumerate(CONTROLS)
    ]
    exempt = [Exemption(CONTROLS[4].id, "Until the move", "platform-team", datetime.date(2027, 1, 31))]
    return report.host_report(facts, CONTROLS, exempt, results, before)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a host's page and that of a fleet of which a host is missing."""
    folder = tmp_path_factory.mktemp("pages")
    first = made("web-1", 0)
    report.write_host(folder, made("web-1", 1, first))
    many = [{**made("web-1", 1, first), "host": f"web-{number}"} for number in range(1, 6)]
    report.write_fleet(folder, [*many, made("i-0123456789abcdef0", 2)], ["web-9"])
    return folder


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", ["fleet", "web-1"])
def test_everybody_can_read_and_reach_what_is_there(
    window: Browser, pages: Path, name: str, width: int, dark: bool
) -> None:
    """Contrast of 4.5 to 1, names of what is operated, what scrolls is reached by keys: axe's rules."""
    window.show(pages / f"{name}.html", width=width, dark=dark)
    window.value("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert window.violations() == []
    assert window.overflow() == 0, "only tables scroll sideways, in their frame"


def test_axe_would_find_what_can_not_be_read(window: Browser, pages: Path, tmp_path: Path) -> None:
    text = (pages / "web-1.html").read_text().replace("--soft:#56636f", "--soft:#a6b3bf")
    (tmp_path / "pale.html").write_text(text)
    window.show(tmp_path / "pale.html")
    assert any(line.startswith("color-contrast") for line in window.violations())


def test_what_is_printed_has_the_evidence_and_afterwards_rows_are_closed_again(window: Browser, pages: Path) -> None:
    window.show(pages / "web-1.html")
    shown = "[...document.querySelectorAll('details ul')].filter(list => list.checkVisibility({contentVisibilityAuto: true})).length"
    assert window.value(shown) == 0
    closed = len(window.printed())
    window.value("document.querySelectorAll('details').forEach(part => part.remove())")
    without = len(window.printed())
    assert closed > without + 5_000, (closed, without)
    window.show(pages / "web-1.html")
    window.printed()
    assert window.value("document.querySelectorAll('details[open]').length") == 0


def shown(window: Browser) -> set[str]:
    found = window.value("[...document.querySelectorAll('tr.c')].filter(row => !row.hidden).map(row => row.dataset.s)")
    return set(found)


def test_the_address_has_the_filter_and_brings_it_back(window: Browser, pages: Path) -> None:
    window.show(pages / "web-1.html")
    assert shown(window) == set(STATUSES)
    window.driver.execute_script(
        "const field = document.getElementById('filter_status'); field.value = 'error'; field.dispatchEvent(new Event('input'))"
    )
    assert shown(window) == {"error"}
    address = window.value("location.hash")
    assert address == "#status=error"
    window.show(pages / "web-1.html", address=address)
    assert shown(window) == {"error"}
    window.show(pages / "web-1.html", address="#status=fail&section=no-such&search=x%26y")
    assert window.value("document.getElementById('filter_search').value") == "x&y"


def test_a_controls_address_leads_to_its_open_row(window: Browser, pages: Path) -> None:
    control = CONTROLS[-1].id
    window.show(pages / "fleet.html", address=f"#{control}")
    row = f"document.getElementById('{control}')"
    assert window.value(f"{row}.querySelector('details').open")
    top = window.value(f"{row}.getBoundingClientRect().top")
    assert 0 <= top < 900, "it is in sight"
    window.driver.execute_script("location.hash = '#status=pass'; return 0")
    assert window.value("document.getElementById('filter_status').value") in ("", "pass")


def test_every_row_has_an_address_of_its_own(window: Browser, pages: Path) -> None:
    window.show(pages / "fleet.html")
    ids = window.value("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    assert {control.id for control in CONTROLS} <= set(ids)
    wrong = (
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(a.hash.slice(1))).length"
    )
    assert window.value(wrong) == 0


def test_a_page_without_any_host_says_so(window: Browser, tmp_path: Path) -> None:
    report.write_fleet(tmp_path, [], ["web-1", "web-2"])
    window.show(tmp_path / "fleet.html", width=400, dark=True)
    assert window.violations() == []
    assert "2 of 2 hosts have no results in this run" in window.value("document.body.innerText")
    assert json.loads((tmp_path / "fleet.json").read_text())["score"] is None
