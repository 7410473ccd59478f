"""Puts the daemon together: the lab's records and handlers in moto's place, then the account, the reconciler and the servers."""

from __future__ import annotations

from contextlib import ExitStack

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from lab.cloud import account
from lab.cloud.auth import install as auth
from lab.cloud.auth.gate import Gate
from lab.cloud.auth.keys import KEYS
from lab.cloud.autoscaling import install as autoscaling
from lab.cloud.ec2 import install as ec2
from lab.cloud.ec2.machines_part import Machines
from lab.cloud.ec2.metadata import metadata_for
from lab.cloud.elbv2 import install as elbv2
from lab.cloud.go_sdk_delay import GoSdkDelay
from lab.cloud.instance_connect import install as instance_connect
from lab.cloud.logs import install as logs
from lab.cloud.reconciler import Reconciler
from lab.cloud.ssm import install as ssm
from lab.daemon.control import Control
from lab.daemon.saved import Saves
from lab.daemon.web import FileServer, Serving, api_server
from lab.machines.images import ImageStore
from lab.metadata.server import MetadataServer, Service
from lab.network.hosts_file import HostsFile
from lab.settings import API_PORT, GATEWAY, REPOSITORY_PORT, Settings


def assemble(settings: Settings, undo: ExitStack) -> None:
    """Returns when everything runs; `undo` ends it."""
    store, hosts = ImageStore(settings), HostsFile(settings.hosts_file)
    auth.install()
    logs.install()
    keys, key_routes = instance_connect.install(settings)
    routes = {**ssm.install(), **key_routes}
    parts = [*ec2.install(settings, store, hosts), *elbv2.install(settings, hosts), *autoscaling.install()]
    account.seed(settings)
    for _, os_name, image_id in account.base_images(settings):
        store.put(image_id, store.base(os_name))

    reconciler = Reconciler(settings, parts)
    undo.callback(reconciler.stop)
    reconciler.start()

    undo.callback(ssm.start_sessions(reconciler.part(Machines).machine))
    serving = Serving()
    undo.callback(serving.close)
    app = Gate(GoSdkDelay(DomainDispatcherApplication(create_backend_app)), settings, routes=routes)
    serving.add(api_server(app, GATEWAY, API_PORT), "aws-api")
    metadata = Service(metadata_for, lambda meta, role: KEYS.issue(role, meta.instance_id), keys_of=keys.of)
    serving.add(MetadataServer(metadata), "metadata")
    serving.add(FileServer(settings.repositories_dir, GATEWAY, REPOSITORY_PORT), "repositories")
    saves = Saves(settings, store, reconciler)
    serving.add(Control(settings, {"save": saves.save, "restore": saves.restore}), "control")
    undo.callback(settings.control_socket.unlink, missing_ok=True)
