"""Decisions about images, free of AWS calls: which one is meant, whether a booted copy is good, what publishing has to change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CANDIDATE, PUBLISHED = "candidate", "published"


class ImageError(Exception):
    """A message for the person who runs the playbook: what is wrong and what to do."""


@dataclass(frozen=True)
class Image:
    """An image as EC2 describes it. ``keys`` are the ARNs of the KMS keys of its snapshots; None stands for an unencrypted one."""

    region: str
    image_id: str
    name: str
    created: str
    state: str
    imds: str
    keys: tuple[str | None, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, with what was seen."""

    name: str
    ok: bool
    seen: str


def pick(images: Iterable[Image], image_id: str | None) -> Image:
    """The image with that id, else the newest candidate or published one. Raises ImageError if there is none."""
    usable = [image for image in images if image.tags.get("State") in (CANDIDATE, PUBLISHED)]
    if image_id:
        found = [image for image in usable if image.image_id == image_id]
        if not found:
            raise ImageError(
                f"{image_id} is not a candidate of this application, environment and OS (tags Application, Environment, OS and "
                f"State={CANDIDATE}). Nothing was changed. Look at its tags, or leave fleet_image_id out for the newest candidate."
            )
        return found[0]
    if not usable:
        raise ImageError(f"there is no image with the tag State={CANDIDATE}. Bake one first, see packer/README.md")
    return max(usable, key=lambda image: (image.created, image.name))


def copies(image: Image, others: Mapping[str, Sequence[Image]]) -> dict[str, Image]:
    """Region → the copy of ``image`` there, found by its name, which Packer gives to all. Raises ImageError where one is missing."""
    found = {image.region: image}
    for region, images in others.items():
        same = [other for other in images if other.name == image.name]
        if not same:
            raise ImageError(
                f"{image.image_id} ({image.name}) has no copy in {region}; it can't be published. Bake again: "
                "Packer copies to every region of its variable copy_regions."
            )
        found[region] = same[0]
    return found


def check_image(image: Image, key_arn: str) -> list[Check]:
    """What the image's description must say before it is worth booting. ``key_arn``: the key of this region."""
    return [
        Check("available", image.state == "available", image.state),
        Check("encrypted with the region's key", bool(image.keys) and set(image.keys) == {key_arn}, _keys(image.keys)),
        Check("IMDSv2 only (image)", image.imds == "v2.0", image.imds or "not set"),
    ]


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


def check_report(report: Mapping[str, Sequence[str]], image_name: str, version: str) -> list[Check]:
    """Judge what the probe saw on a host booted from the image. ``version``: what the application must answer; empty for any."""

    def one(key: str) -> str:
        values = report.get(key, ())
        return values[0] if values else ""

    def none(name: str, key: str) -> Check:
        values = report.get(key, ())
        return Check(name, "probe" in report and not values, ", ".join(values[:5]) or "none")

    digest = one("manifest_sha256")
    return [
        Check("/health answers 200", one("health") == "200", one("health") or "no answer"),
        Check("/version answers the release", _answers(one("version"), version), one("version") or "no answer"),
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
        none("no rests in /tmp", "old_tmp"),
        none("no failed units", "failed_unit"),
        Check("manifest is this image's", one("manifest_image") == image_name, one("manifest_image") or "no manifest"),
        Check("manifest digest", len(digest) == 64, digest or "none"),
        *_check_record(report),
    ]


def _check_record(report: Mapping[str, Sequence[str]]) -> list[Check]:
    """AIDE's record is the one that the manifest names, and the host differs from it nowhere. An image may be without one."""
    record, named, code = (
        (list(report.get(key, ())) or [""])[0] for key in ("aide_record", "manifest_aide", "aide_code")
    )
    seen = list(report.get("aide_difference", ()))
    said = ", ".join(seen[:10]) or (f"aide --check ended with exit code {code}" if code else "no record")
    return [
        Check("AIDE's record is the manifest's", "probe" in report and record == named, record or "no record"),
        Check("files are as AIDE recorded them", "probe" in report and code == ("0" if record else ""), said),
    ]


def check_controls(results: Sequence[Mapping[str, Any]]) -> list[Check]:
    """A failed check for each control that does not hold on the host. ``results``: the hardening engine's."""
    failing = [Check(f"control {r['id']}", False, str(r["reason"])) for r in results if r["status"] == "fail"]
    held = sum(result["status"] == "pass" for result in results)
    return failing or [Check("hardening controls hold", held > 0, f"{held} of {len(results)} evaluated hold")]


def score(controls: Mapping[str, Any]) -> str:
    """What the controls came to, for a tag: `100.0; 40 not_applicable, 150 pass`. A score hides what was left out, so counts follow."""
    counts = ", ".join(f"{number} {status}" for status, number in sorted(controls["summary"].items()))
    return f"{controls['score']}; {counts}"


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


@dataclass(frozen=True)
class Change:
    """One write to a Parameter Store: ``old`` None means that the parameter does not exist."""

    region: str
    name: str
    old: str | None
    new: str


def plan_parameters(
    parameter: str, images: Mapping[str, str], current: Mapping[str, Mapping[str, str]]
) -> list[Change]:
    """What to write, in order: first every region's ``<parameter>-previous``, then every ``<parameter>``.

    ``images``: region → image id; ``current``: region → parameter name → value. So a rollback target is known before anything new is
    published, and publishing the same image again writes nothing.
    """
    before, after = [], []
    for region, image_id in images.items():
        seen = current.get(region, {})
        old = seen.get(parameter)
        if old == image_id:
            continue
        previous = f"{parameter}-previous"
        if old is not None and seen.get(previous) != old:
            before.append(Change(region, previous, seen.get(previous), old))
        after.append(Change(region, parameter, old, image_id))
    return before + after


def as_dicts(checks: Iterable[Check]) -> list[dict[str, Any]]:
    return [{"name": check.name, "ok": check.ok, "seen": check.seen} for check in checks]
