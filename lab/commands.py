"""What each `lab` command does: a function per command, which returns the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import environment, login, prerequisites
from lab.client import Client
from lab.daemon import control, lifecycle, server, status_file
from lab.errors import LabError
from lab.imports import catalog
from lab.imports.importer import default_name, import_image
from lab.imports.packages import Repositories
from lab.listing import known_labs
from lab.network import namespaces
from lab.network.forward import Forwarder
from lab.run import replace as become
from lab.settings import Settings, operating_systems
from lab.standin import build
from lab.status import show

USAGE_ERROR = 2
SAVE_SECONDS = 180


def up(settings: Settings, arguments: Any) -> int:
    prerequisites.require_root()
    if arguments.os:
        settings = replace(settings, oses=operating_systems(arguments.os))
    progress = _progress()
    lifecycle.up(settings, progress)
    progress(f"lab {settings.name!r} is up; try: lab status, lab run aws ec2 describe-images, lab shell")
    return 0


def down(settings: Settings, arguments: Any) -> int:
    prerequisites.require_root()
    lifecycle.down(settings, _progress(), purge=arguments.purge)
    return 0


def serve(settings: Settings, arguments: Any) -> int:
    server.serve(settings)
    return 0


def status(settings: Settings, arguments: Any) -> int:
    prerequisites.require_root()
    return show(settings, as_json=arguments.json)


def list_labs(settings: Settings, arguments: Any) -> int:
    prerequisites.require_root()
    labs = known_labs(settings)
    for name, state in labs:
        print(f"{name:<8}  {state}")
    if not labs:
        print("there is no lab; start one: lab up")
    return 0


def run(settings: Settings, arguments: Any) -> int:
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv:
        print("lab: lab run needs a command, for example: lab run aws ec2 describe-instances", file=sys.stderr)
        return USAGE_ERROR
    return _become(settings, argv)


def shell(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(f"Inside lab {settings.name!r}: AWS is {settings.endpoint}. Leave with `exit`.", file=sys.stderr)
    return _become(settings, [shell, "-i"])


def ssh(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    environ = dict(os.environ)
    if not arguments.direct:
        login.require_plugin(environment.inside(settings, environ)["PATH"])
    instance = Client(settings).find_instance(arguments.host)
    if arguments.direct:
        argv = login.direct(settings, instance, arguments.argv)
    elif arguments.argv:
        argv = login.command_over_session(settings, instance, arguments.argv)
    else:
        argv = login.shell_session(instance)
    return _become(settings, argv, environ)


def open_balancer(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    # It listens out here before the look-up moves this thread into the lab's network.
    with Forwarder(arguments.port, settings.netns_path) as forwarder:
        address, port = forwarder.target = Client(settings).load_balancer_address(arguments.name)
        print(f"http://127.0.0.1:{forwarder.port}/  →  {address}:{port} in the lab; Ctrl-C ends it", flush=True)
        forwarder.serve_forever(poll_interval=0.2)
    return 0


def advisory(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    publish = arguments.action == "publish"
    for repository in sorted(settings.repositories_dir.iterdir()):
        (build.publish_advisory if publish else build.withdraw_advisory)(repository)
        print(f"{repository.name}: security update {'published' if publish else 'withdrawn'}")
    return 0


def save(settings: Settings, arguments: Any) -> int:
    return _tell(settings, "save", arguments.name)


def restore(settings: Settings, arguments: Any) -> int:
    return _tell(settings, "restore", arguments.name)


def _tell(settings: Settings, command: str, name: str) -> int:
    _require_up(settings)
    control.tell(settings, command, name, SAVE_SECONDS)
    return 0


def logs(settings: Settings, arguments: Any) -> int:
    # What a killed lab has left can be read, too: that is when its log is needed.
    if not settings.state.exists():
        _require_up(settings)
    path = _console(settings, arguments.host) if arguments.host else settings.logs_dir / "daemon.log"
    try:
        sys.stdout.write(path.read_text(errors="replace"))
    except OSError as error:
        raise LabError(
            f"There is no log {path}: {error.strerror}", hint="It has not started yet: `lab status`."
        ) from error
    return 0


def _console(settings: Settings, host: str) -> Path:
    """The console of an instance, by its id or, while the lab is up, by name or address."""
    machines = sorted(path.name for path in settings.machines_dir.iterdir()) if settings.machines_dir.exists() else []
    if host not in machines and status_file.read(settings) is not None:
        prerequisites.require_root()
        host = str(Client(settings).find_instance(host)["InstanceId"])
    elif host not in machines:
        raise LabError(f"The lab has no machine {host!r}", hint=f"There are: {', '.join(machines) or 'none'}.")
    return settings.machines_dir / host / "console.log"


def image_import(settings: Settings, arguments: Any) -> int:
    prerequisites.require_root()
    repositories = Repositories(tuple(arguments.repository), arguments.repo_file)
    name = arguments.name or default_name(arguments.reference)
    progress = _progress()
    image = import_image(settings, arguments.reference, name, repositories, progress)
    if image.lacking:
        progress(f"its repositories do not have {', '.join(image.lacking)}: roles that install them will fail")
    progress(f"{image.release} is the base image {name!r}; try: LAB_BASE={name} lab up --os {image.os}")
    return 0


def image_list(settings: Settings, arguments: Any) -> int:
    for image in catalog.every(settings.cache):
        print(f"{image.name:<24} {image.os:<7} {image.imported}  {image.digest[:19]}  {image.release}  {image.source}")
    return 0


def image_remove(settings: Settings, arguments: Any) -> int:
    prerequisites.require_root()
    for name in catalog.remove(settings, arguments.name):
        print(f"removed {name}")
    return 0


def _become(settings: Settings, argv: Sequence[str], environ: dict[str, str] | None = None) -> int:
    """Replaces this process by a command inside the lab: its exit code, signals and terminal are the command's own."""
    _require_up(settings)
    user = dict(os.environ) if environ is None else environ
    aside = environment.credentials_set_aside(settings, user)
    if aside:
        print(
            f"lab: {', '.join(aside)} of your environment are set aside; this command sees only the lab's AWS.",
            file=sys.stderr,
        )
    namespaces.enter_network(settings.netns_path)
    namespaces.own_mounts()
    namespaces.bind(settings.hosts_file, Path("/etc/hosts"))
    namespaces.bind(settings.state / "resolv.conf", Path("/etc/resolv.conf"))
    become(argv, environment.inside(settings, user))


def _require_up(settings: Settings) -> None:
    prerequisites.require_root()
    status_file.require(settings)


def _progress() -> Callable[[str], None]:
    start = time.monotonic()

    def show(message: str) -> None:
        print(f"lab {time.monotonic() - start:6.1f} s  {message}", file=sys.stderr, flush=True)

    return show
