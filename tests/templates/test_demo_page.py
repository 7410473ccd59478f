"""The demo's report as people see it: in a real browser, light and dark, wide and narrow."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from demo import report
from demo.flow import Result
from demo.load import Sample
from tests.support.browser import CHROMIUM, DRIVER, Browser

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no Chromium with its driver: scripts/setup")

STEPS = ("lab", "releases", "bake", "publish", "launch", "dr", "configure", "configure_again", "audit", "roll", "patch")
BEGIN = 1_795_900_000.0
SIZES = """[...document.querySelectorAll('svg text')].filter(text => text.checkVisibility()).map(text => {
    const svg = text.ownerSVGElement;
    return parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width })"""
"""The size of every text that is shown in a chart, in CSS pixels."""
CUT_OR_BROKEN = """[...document.querySelectorAll('.tile b')].filter(number =>
    number.scrollWidth > number.clientWidth || number.getClientRects()[0].height > 1.5 * parseFloat(getComputedStyle(number).fontSize)
).map(number => number.innerText)"""
"""The figures that need more than one line or more room than there is."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    pick = random.Random(1)  # noqa: S311 - no secret
    spans = [(name, BEGIN + 30 * number, BEGIN + 30 * number + 28) for number, name in enumerate(STEPS)]
    start = spans[-2][1]
    samples = [
        Sample(
            start + number / 20,
            pick.lognormvariate(-5, 0.5),
            "/version",
            200,
            "ok",
            "1.0.0" if number < 600 else "1.1.0",
        )
        for number in range(1_200)
    ]
    samples.append(Sample(start + 30, 0.2, "/", 502, "failed"))
    result = Result(
        "al2023", hosts=3, images={"us-east-1": "ami-0123456789abcdef0", "us-west-2": "ami-0123456789abcdef1"}, second_run_changed=0,
        controls={"pass": 700, "fail": 1, "error": 1, "not_applicable": 60, "excepted": 3, "not_applied_here": 20},
        requests_total=1_234_567, requests_failed=1, patched_hosts=1, seconds={"total": 330.0},
        patched={"i-0123456789abcdef0": {"updated": ["glibc-2.34-1.x86_64"], "restarted": ["nginx.service"], "rebooted": False}},
    )  # fmt: skip
    report.write(folder, result, spans, samples)
    return folder / "report.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_everybody_can_read_the_page_and_its_charts(window: Browser, page: Path, width: int, dark: bool) -> None:
    window.show(page, width=width, dark=dark)
    assert window.violations() == []
    assert window.overflow() == 0
    assert window.value(CUT_OR_BROKEN) == []
    sizes = window.value(SIZES)
    assert len(sizes) > 20 and min(sizes) >= 10


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_charts_text_has_the_pages_colours(window: Browser, page: Path, dark: bool) -> None:
    """axe does not look into pictures."""
    window.show(page, dark=dark)
    fills = set(window.value("[...document.querySelectorAll('svg text')].map(text => getComputedStyle(text).fill)"))
    ink, muted = ("rgb(228, 233, 239)", "rgb(163, 176, 189)") if dark else ("rgb(31, 41, 51)", "rgb(97, 110, 124)")
    assert fills == {ink, muted}


def test_controls_that_could_not_be_checked_count_as_open(window: Browser, page: Path) -> None:
    window.show(page)
    tile = "[...document.querySelectorAll('.tile.bad')].map(tile => tile.innerText).join(' ')"
    assert "2\nhardening controls that fail or could not be checked" in window.value(tile)
