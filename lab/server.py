"""The lab's one daemon: the AWS API, the metadata service, the package repositories and the reconciler, in the lab's network."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from types import FrameType

from lab import inside, status
from lab import settings as names
from lab.hosts import HostsFile
from lab.images import ImageStore
from lab.imds import MetadataServer, Service
from lab.settings import Settings
from lab.web import FileServer, Serving, api_server

log = logging.getLogger("lab.server")

MOTO_ENVIRONMENT = {
    "MOTO_ACCOUNT_ID": names.ACCOUNT_ID,
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false",
    "MOTO_PORT": str(names.API_PORT),
}
"""moto reads its settings when it is imported."""


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then stops machines and load balancers. Called on the main thread of a process of its own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    inside.enter_network(settings.netns_path)
    os.environ.update(MOTO_ENVIRONMENT)
    finished = threading.Event()
    with ExitStack() as undo:
        _assemble(settings, undo)

        def finish(number: int, frame: FrameType | None) -> None:
            finished.set()

        signal.signal(signal.SIGTERM, finish)
        signal.signal(signal.SIGINT, finish)
        status.write(
            settings, status.Daemon(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), settings.oses)
        )
        undo.callback(settings.status_file.unlink, missing_ok=True)
        log.info("ready")
        finished.wait()
        log.info("stopping")


def _assemble(settings: Settings, undo: ExitStack) -> None:
    """Puts the rooms together: patched records first, then the account in them, then what answers and what acts."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415

    from lab import account  # noqa: PLC0415
    from lab.cloud import auth, auth_keys, autoscaling, ec2, ec2_metadata, elbv2, logs, pace, ssm  # noqa: PLC0415
    from lab.cloud.dns import InstanceNames  # noqa: PLC0415
    from lab.reconcile import Reconciler  # noqa: PLC0415

    store, hosts = ImageStore(settings), HostsFile(settings.hosts_file)
    parts = [
        *ec2.install(settings, store),
        *elbv2.install(settings, hosts.set),
        *autoscaling.install(),
        InstanceNames(hosts.set),
    ]
    logs.install()
    routes = ssm.install()
    account.seed(settings)
    for _, os_name, image_id in account.base_images(settings):
        store.put(image_id, store.base(os_name))

    reconciler = Reconciler(settings, parts)
    undo.callback(reconciler.stop)
    reconciler.start()

    serving = Serving()
    undo.callback(serving.close)
    app = auth.Gate(pace.Pace(DomainDispatcherApplication(create_backend_app)), settings, routes=routes)
    serving.add(api_server(app, names.GATEWAY, names.API_PORT), "aws-api")
    metadata = Service(ec2_metadata.metadata_for, lambda meta, role: auth_keys.KEYS.issue(role, meta.instance_id))
    serving.add(MetadataServer(metadata), "metadata")
    serving.add(FileServer(settings.repositories_dir, names.GATEWAY, names.REPOSITORY_PORT), "repositories")
