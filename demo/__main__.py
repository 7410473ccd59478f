"""``python -m demo --os al2|al2023``: the main job on the lab, measured; ends with a table, report.html and summary.json."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from demo import report
from demo.console import Screen, StepFailedError, fail
from demo.flow import ROOT, Demo, prepare
from demo.load import read

OUT = ROOT / "build" / "demo"
MINIMUM_REQUESTS = 10_000


def check(demo: Demo) -> list[str]:
    """What the demo requires and this run did not show."""
    r = demo.result
    required = {
        f"3 hosts in 3 zones, not {r.hosts} in {len(r.zones)}": r.hosts == 3 and len(r.zones) == 3,
        f"images in both regions, not {sorted(r.images)}": len(r.images) == 2,
        "the host from the copy answers": r.dr_host_answered,
        f"the second run changes nothing, not {r.second_run_changed}": r.second_run_changed == 0,
        f"every control passes, not {r.controls}": r.controls.get("pass", 0) > 0 and not r.open_controls,
        f"at least {MINIMUM_REQUESTS} requests, not {r.requests_total}": r.requests_total >= MINIMUM_REQUESTS,
        f"no failed request, not {r.requests_failed}": r.requests_failed == 0,
        f"no wrong answer, not {r.requests_wrong}": r.requests_wrong == 0,
        f"every host patched, not {r.patched_hosts} of {r.hosts}": r.patched_hosts == r.hosts,
    }
    return [text for text, met in required.items() if not met]


def measure(demo: Demo) -> None:
    samples = read(demo.out / "load.csv")
    r = demo.result
    r.requests_total = len(samples)
    r.requests_failed = sum(s.verdict == "failed" for s in samples)
    r.requests_wrong = sum(s.verdict == "wrong" for s in samples)
    latencies = sorted(s.seconds * 1000 for s in samples if s.verdict == "ok")
    if latencies:
        r.latency_p50_ms, r.latency_p95_ms = (round(latencies[int(len(latencies) * q)], 1) for q in (0.5, 0.95))
        r.latency_max_ms = round(latencies[-1], 1)


def table(demo: Demo) -> Table:
    r = demo.result
    rows = [
        ("operating system", r.os),
        ("hosts by zone", ", ".join(f"{z}: {n}" for z, n in sorted(r.zones.items()))),
        ("images", ", ".join(f"{region}: {image}" for region, image in r.images.items())),
        ("host from the copy in us-west-2", "answered" if r.dr_host_answered else "did not answer"),
        ("changed by site.yml, first and second run", f"{r.first_run_changed}, {r.second_run_changed}"),
        ("hardening controls, all hosts", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in r.controls.items())),
        ("requests during roll and patch", f"{r.requests_total}: {r.requests_failed} failed, {r.requests_wrong} wrong"),
        ("latency p50, p95, max", f"{r.latency_p50_ms} ms, {r.latency_p95_ms} ms, {r.latency_max_ms} ms"),
        ("hosts patched", f"{r.patched_hosts} of {r.hosts}"),
        ("seconds", ", ".join(f"{k} {v:.0f}" for k, v in r.seconds.items())),
    ]
    shown = Table(title="What was measured", show_header=False, title_justify="left")
    for row in rows:
        shown.add_row(*row)
    return shown


def run(demo: Demo) -> None:
    demo.start_lab()
    demo.publish_releases()
    demo.bake()
    demo.publish_image()
    demo.launch()
    demo.launch_dr()
    demo.configure()
    demo.audit()
    demo.start_load()
    try:
        demo.roll()
        demo.patch()
    finally:
        demo.stop_load()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--os", default="al2023", help="al2 or al2023 (default: al2023)")
    parser.add_argument("--out", type=Path, default=OUT, help="where results go; emptied first (default: build/demo)")
    options = parser.parse_args()
    if options.os not in ("al2", "al2023"):
        fail(f"unknown OS '{options.os}'; use OS=al2 (Amazon Linux 2) or OS=al2023 (Amazon Linux 2023)")
    os.chdir(ROOT)
    out = options.out
    prepare(out)
    screen = Screen()
    demo = Demo(options.os, out, screen)
    try:
        run(demo)
        measure(demo)
    except StepFailedError as error:
        fail(f"{error}\nThe lab is still up for a look (lab status); `make demo` starts over, `lab down` removes it.")
    except KeyboardInterrupt:
        fail("stopped. The lab is still up; `make demo` starts over, `lab down` removes it.")
    demo.result.seconds = {**screen.seconds, "total": round(sum(screen.seconds.values()), 1)}
    (out / "summary.json").write_text(json.dumps(asdict(demo.result), indent=2) + "\n")
    report.write(out, demo.result, screen.spans, read(out / "load.csv"))
    screen.console.print(table(demo))
    screen.console.print(f"report: {os.path.relpath(out / 'report.html')}")
    screen.console.print("The fleet is still up: `lab status`, `lab open`; `lab down` removes it.")
    if broken := check(demo):
        fail("this run does not show:  " + "; ".join(broken))


if __name__ == "__main__":
    main()
