"""The part of the reconciler that makes stored file systems match the image records."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from lab.cloud.ec2.image_records import KEY_REFUSED, LabImage
from lab.cloud.ec2.machines_part import Machines
from lab.cloud.reconciler import Actions
from lab.machines.images import ImageStore

log = logging.getLogger("lab.ec2")


class Images:
    """One stored file system per image that is available; nothing is left of an image that failed or is deregistered."""

    def __init__(self, store: ImageStore, machines: Machines) -> None:
        self._store = store
        self._machines = machines

    def settle(self, actions: Actions) -> None:
        registered = set()
        for _, _, backend in list(ec2_backends.iter_backends()):
            for image in list(backend.amis.values()):
                registered.add(image.id)
                if image.state == "pending" and image.origin and not actions.busy(image.id):
                    self._store_image(backend, image, image.origin, actions)
        for image_id in set(self._store.ids()) - registered:
            self._remove(image_id, actions)

    def close(self) -> None:
        """The store's directory goes with the lab's state."""

    def _remove(self, image_id: str, actions: Actions) -> None:
        def failed(error: Exception) -> None:
            log.warning("The file system of %s could not be removed: %s", image_id, error)

        actions.start(image_id, lambda: self._store.remove(image_id), lambda _: None, failed)

    def _store_image(self, backend: Any, image: LabImage, origin: tuple[str, Any], actions: Actions) -> None:
        kind, source = origin
        if kind == "instance":
            self._snapshot(image, source, actions)
        else:
            self._copy(backend, image, source[1], actions)

    def _snapshot(self, image: LabImage, instance_id: str, actions: Actions) -> None:
        """Runs under the instance's key, so that nothing else happens to the machine while its disk is read."""
        machine = self._machines.machine(instance_id)
        if machine is None:
            image.fail(f"Instance {instance_id} is gone")
            return

        def work() -> None:
            stop = image.stop_first and machine.running
            if stop:
                machine.stop()
            try:
                self._store.snapshot(image.id, machine, machine.spec.layers)
            finally:
                if stop:
                    machine.start()

        self._keep(image, instance_id, work, actions)

    def _copy(self, backend: Any, image: LabImage, source_id: str, actions: Actions) -> None:
        if image.root.get("Encrypted"):
            try:
                image.ebs_snapshot.kms_key_id = image.root["KmsKeyId"] = backend.kms_key_arn(image.requested_key)
            except EC2ClientError:
                image.fail(KEY_REFUSED, "Client.InternalError")
                return
        self._keep(image, image.id, lambda: self._store.copy(source_id, image.id), actions)

    def _keep(self, image: LabImage, key: str, work: Callable[[], None], actions: Actions) -> None:
        def failed(error: Exception) -> None:
            self._store.remove(image.id)
            image.fail(str(error))

        actions.start(key, work, lambda _: image.complete(), failed)
