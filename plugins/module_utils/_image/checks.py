# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image and a host booted from it must be like: checks of descriptions and of the probe's report. Control node only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .plan import Image

DIFFERENCES_FOUND = frozenset("1234567")
"""Exit codes of ``aide --check``: the sum of 1 (new files), 2 (removed) and 4 (changed); errors have others (aide(1), "Exit status")."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, with what was seen."""

    name: str
    ok: bool
    seen: str


def check_image(image: Image, key_arn: str) -> list[Check]:
    """What the image's description must say before it is worth booting. ``key_arn``: the key of this region."""
    return [
        Check("available", image.state == "available", image.state),
        Check("encrypted with the region's key", bool(image.keys) and set(image.keys) == {key_arn}, _keys(image.keys)),
        Check("IMDSv2 only (image)", image.imds == "v2.0", image.imds or "not set"),
    ]


def check_volume(keys: Sequence[str | None], key_arn: str) -> Check:
    """``keys``: those of a host's volumes."""
    return Check("volume encrypted with the region's key", set(keys) == {key_arn}, _keys(keys))


def _keys(keys: Sequence[str | None]) -> str:
    return ", ".join(sorted(key or "not encrypted" for key in keys)) or "no volume"


def parse_report(text: str) -> dict[str, list[str]]:
    """The probe's lines ``key=value`` as key → values in order. Other lines are ignored."""
    report: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and key.isidentifier():
            report.setdefault(key, []).append(value.strip())
    return report


def check_report(
    report: Mapping[str, Sequence[str]], image_name: str, version: str, image_version: str = ""
) -> list[Check]:
    """What the probe saw on a host booted from the image. ``version``: what the application must answer; empty for any.

    ``image_version``: the release in the image; a host that must answer with another one has fetched that when it booted.
    """

    def one(key: str) -> str:
        values = report.get(key, ())
        return values[0] if values else ""

    def none(name: str, key: str) -> Check:
        values = report.get(key, ())
        return Check(name, "probe" in report and not values, ", ".join(values[:5]) or "none")

    digest = one("manifest_sha256")
    return [
        Check("/health answers 200", one("health") == "200", one("health") or "no answer"),
        Check("version is the release's", _answers(one("version"), version), one("version") or "no answer"),
        Check(
            "IMDSv2 only (host)",
            one("imds_v1") in ("401", "403"),
            f"a request without a token got {one('imds_v1') or 'nothing'}",
        ),
        Check("SSH host keys made", bool(report.get("host_key")), f"{len(report.get('host_key', ()))} keys"),
        Check("machine id made", len(one("machine_id")) == 32, one("machine_id") or "empty"),
        none("no authorized keys", "authorized_keys"),
        none("no shell history", "history"),
        none("no logs from before the boot", "old_log"),
        none("no leftovers in /tmp", "old_tmp"),
        none("no failed units", "failed_unit"),
        Check("manifest is this image's", one("manifest_image") == image_name, one("manifest_image") or "no manifest"),
        Check("manifest digest", len(digest) == 64, digest or "none"),
        *_check_aide(report, fetched=image_version not in ("", version)),
    ]


def check_login(report: Mapping[str, Sequence[str]]) -> Check:
    """Whether sshd let a key in that EC2 Instance Connect had pushed. ``report``: of ``ssm/scripts/image_login.sh``."""
    command = next(iter(report.get("login_command", ())), "")
    reason = next(iter(report.get("login_error", ())), "") or "no answer"
    seen = f"{reason} (sshd's AuthorizedKeysCommand: {command or 'none'})"
    ok = report.get("login") == ["ok"]
    return Check("SSH by EC2 Instance Connect", ok, "a pushed key logs in" if ok else seen)


def _check_aide(report: Mapping[str, Sequence[str]], *, fetched: bool) -> list[Check]:
    """AIDE's database is the one that the manifest names, and the host differs from it nowhere, or only by the release that it has
    ``fetched``. An image may be without one."""
    database, named, code = (
        (list(report.get(key, ())) or [""])[0] for key in ("aide_database", "manifest_aide", "aide_code")
    )
    release = list(report.get("aide_application_difference", ()))
    differences = list(report.get("aide_difference", ())) + ([] if fetched else release)
    expected = code in DIFFERENCES_FOUND and fetched and bool(release) and not differences
    seen = ", ".join(differences[:10]) or (f"aide --check ended with exit code {code}" if code else "no database")
    return [
        Check("AIDE database is the manifest's", "probe" in report and database == named, database or "no database"),
        Check(
            "files match the AIDE database",
            "probe" in report and (expected or code == ("0" if database else "")),
            "only the release that was fetched differs" if expected else seen,
        ),
    ]


def check_controls(results: Sequence[Mapping[str, Any]]) -> list[Check]:
    """A failed check for each control that fails on the host or could not be checked there. ``results``: the hardening engine's."""
    failing = [
        Check(f"control {r['id']}", False, str(r["reason"])) for r in results if r["status"] in ("fail", "error")
    ]
    passed = sum(result["status"] == "pass" for result in results)
    return failing or [Check("hardening controls pass", passed > 0, f"{passed} of {len(results)} evaluated pass")]


def score(controls: Mapping[str, Any]) -> str:
    """What the controls came to, for a tag: `100.0; 40 not_applicable, 150 pass`. A score hides what was left out, so counts follow."""
    counts = ", ".join(f"{number} {status}" for status, number in sorted(controls["summary"].items()))
    percent = controls["score"]
    return f"{'no score' if percent is None else percent}; {counts}"


def _answers(body: str, version: str) -> bool:
    """The body is JSON with "version": <version>; compared as text, so that a broken body is a failed check and no traceback."""
    return bool(body) and f'"version":"{version}"' in body.replace(" ", "") if version else '"version"' in body


def check_distinct(reports: Mapping[str, Mapping[str, Sequence[str]]]) -> list[Check]:
    """Two hosts from the same image must share neither a host key nor a machine id. ``reports``: region → the probe's report."""
    checks = []
    for name, key in (
        ("host keys differ between hosts", "host_key"),
        ("machine ids differ between hosts", "machine_id"),
    ):
        values = [value for report in reports.values() for value in set(report.get(key, ()))]
        shared = sorted({value for value in values if values.count(value) > 1})
        checks.append(Check(name, bool(values) and not shared, ", ".join(shared) or f"{len(values)} different"))
    digests = {next(iter(report.get("manifest_sha256", ())), "") for report in reports.values()}
    checks.append(
        Check("same manifest in every region", len(digests) == 1 and "" not in digests, ", ".join(sorted(digests)))
    )
    return checks


def failed(checks: Iterable[Check]) -> str:
    """The failed checks in one line; empty if there is none."""
    return "; ".join(f"{check.name}: {check.seen}" for check in checks if not check.ok)


def as_dicts(checks: Iterable[Check]) -> list[dict[str, Any]]:
    return [{"name": check.name, "ok": check.ok, "seen": check.seen} for check in checks]
