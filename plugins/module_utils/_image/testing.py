# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test of one image in one region: a host is booted from it, looked at, and terminated. Control node only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from .._aws.restoring import undone_on_failure
from .._aws.run_command import run_script, wait_online
from . import test_host
from .api import key_arn, read_image
from .audit import audit
from .checks import (
    Check,
    as_dicts,
    check_controls,
    check_image,
    check_login,
    check_report,
    check_volume,
    failed,
    parse_report,
)
from .plan import Image, ImageError
from .scripts import with_values

ROLE = "image-test"


def lifetime_violation(options: Mapping[str, Any]) -> str | None:
    """Why a host that lives so long may end before its test does; None if it lives long enough."""
    needed = 2 * (options["wait_seconds"] + options["read_seconds"])
    if options["lifetime_seconds"] >= needed:
        return None
    return (
        f"lifetime_seconds is {options['lifetime_seconds']}; with wait_seconds {options['wait_seconds']} and read_seconds "
        f"{options['read_seconds']} it must be {needed} or more, so that the host does not end during its test."
    )


class ImageTest:
    """``checks``, ``report``, ``answer`` and ``seconds`` fill up as the test goes on. ``options``: those of the module image_test."""

    def __init__(self, client: Callable[[str], Any], region: str, options: Mapping[str, Any]) -> None:
        self.ec2, self.ssm, self.kms = (client(service) for service in ("ec2", "ssm", "kms"))
        self.instance_connect = client("ec2-instance-connect")
        self.region, self.options = region, options
        self.deadline: int = options["wait_seconds"]
        self.booted = False
        self.checks: list[Check] = []
        self.report: dict[str, list[str]] = {}
        self.answer: dict[str, Any] | None = None
        self.seconds: dict[str, float] = {}

    def run(self, check_mode: bool) -> None:
        """Check the description, then a host, if the description is good. Raises UserError for what could not be checked."""
        image = read_image(self.ec2, self.region, self.options["image_id"])
        arn = key_arn(self.kms, self.options["kms_key"])
        self.checks += check_image(image, arn)
        if failed(self.checks) or check_mode:
            return
        self.booted = True
        with self._host() as instance_id:
            self._check_host(image, arn, instance_id)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = round(time.monotonic() - begun, 1)

    @contextmanager
    def _host(self) -> Iterator[str]:
        """A host booted from the image, running; terminated at the end, whatever happened."""
        image_id = self.options["image_id"]
        own = {"Role": ROLE, "TestedImage": image_id}
        test_host.terminate(self.ec2, test_host.leftovers(self.ec2, own), self.deadline)
        tags = {**self.options["host_tags"], **own, "Name": f"test {image_id}"}
        power_off = self._script("power_off_later", LIFETIME_SECONDS=self.options["lifetime_seconds"])
        instance_id = test_host.launch(self.ec2, self.options, tags, power_off)
        with undone_on_failure(partial(self._end, instance_id)):
            with self._timed("boot"):
                test_host.wait_running(self.ec2, instance_id, self.deadline)
            yield instance_id
        self._end(instance_id)

    def _end(self, instance_id: str) -> None:
        try:
            with self._timed("end"):
                test_host.terminate(self.ec2, [instance_id], self.deadline)
        except Exception as error:
            seconds = self.options["lifetime_seconds"]
            raise ImageError(
                f"the test host {instance_id} in {self.region} was not terminated: {error}. Terminate it; one that has booted ends by "
                f"itself {seconds} s after that"
            ) from error

    def _check_host(self, image: Image, arn: str, instance_id: str) -> None:
        self.checks.append(check_volume(test_host.volume_keys(self.ec2, instance_id), arn))
        with self._timed("agent"):
            wait_online(self.ssm, [instance_id], self.deadline)
        with self._timed("probe"):
            health_seconds = min(self.deadline, self.options["read_seconds"] // 2)
            probe = self._script(
                "image_probe",
                HEALTH_SECONDS=health_seconds,
                VERSION_PATH=self.options["version_path"],
                APPLICATION_DIRECTORY=self.options["application_directory"],
            )
            answer = run_script(self.ssm, instance_id, "the probe", probe, self.options["read_seconds"])
            self.report = parse_report(answer)
        versions = self.options["expected_version"], self.options["image_version"]
        self.checks += check_report(self.report, image.name, *versions)
        if self.options["login_user"]:
            with self._timed("login"):
                self._check_login(instance_id, self.options["login_user"])
        if self.options["audit_program"]:
            with self._timed("controls"):
                self._check_controls(instance_id)

    def _check_login(self, instance_id: str, user: str) -> None:
        """A host may not push a key to itself, and its sshd can't be reached from here: it makes the key, we push it, it logs in."""
        made = self._script("image_login_key")
        public_key = run_script(self.ssm, instance_id, "the making of a key", made, self.deadline).strip()
        self.instance_connect.send_ssh_public_key(InstanceId=instance_id, InstanceOSUser=user, SSHPublicKey=public_key)
        script = self._script("image_login", LOGIN_USER=user)
        answer = run_script(self.ssm, instance_id, "a login by EC2 Instance Connect", script, self.deadline)
        self.checks.append(check_login(parse_report(answer)))

    def _check_controls(self, instance_id: str) -> None:
        def run(script: str) -> str:
            return run_script(self.ssm, instance_id, "the hardening audit", script, self.options["read_seconds"])

        self.answer = audit(run, self.options["audit_program"], self.options["scripts"]["image_audit"])
        self.checks += check_controls(self.answer["results"])

    def _script(self, name: str, **values: object) -> str:
        return with_values(self.options["scripts"][name], **values)

    def result(self) -> dict[str, Any]:
        return {
            "changed": self.booted,
            "checks": as_dicts(self.checks),
            "report": self.report,
            "audit": self.answer,
            "seconds": self.seconds,
        }
