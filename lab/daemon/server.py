"""The lab's one daemon: the AWS API, the metadata service, the package repositories and the reconciler, in the lab's network."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from types import FrameType

from lab.daemon import status_file
from lab.modes import UMASK
from lab.network import namespaces
from lab.settings import ACCOUNT_ID, API_PORT, Settings

log = logging.getLogger("lab.server")

MOTO_ENVIRONMENT = {
    "MOTO_ACCOUNT_ID": ACCOUNT_ID,
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false",
    "MOTO_PORT": str(API_PORT),
}


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then stops machines and load balancers. Called on the main thread of a process of its own."""
    os.umask(UMASK)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    namespaces.enter_network(settings.netns_path)
    os.environ.update(MOTO_ENVIRONMENT)
    from lab.daemon.assembly import assemble  # noqa: PLC0415 - moto reads its environment when it is imported

    finished = threading.Event()
    with ExitStack() as undo:
        assemble(settings, undo)

        def finish(number: int, frame: FrameType | None) -> None:
            finished.set()

        signal.signal(signal.SIGTERM, finish)
        signal.signal(signal.SIGINT, finish)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        status_file.write(settings, status_file.Daemon(os.getpid(), started, settings.oses))
        undo.callback(settings.status_file.unlink, missing_ok=True)
        log.info("ready")
        finished.wait()
        log.info("stopping")
