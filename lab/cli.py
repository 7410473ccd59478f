"""The `lab` command."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab import environment, host
from lab.errors import LabError
from lab.settings import OPERATING_SYSTEMS, Settings, operating_systems

USAGE_ERROR = 2

EPILOG = """\
examples:
  lab up                                   start (the first time builds the base images, about a minute)
  lab run aws ec2 describe-instances       anything that talks to AWS talks to the lab
  lab run ansible-inventory --graph
  lab ssh web-1                            by instance id, Name tag or address
  lab open                                 the load balancer in your browser
  lab down

environment:
  LAB_NAME    name of the lab, default "lab"; labs of different names run side by side
  LAB_STATE   where it keeps its state, default /var/lib/ecommerce-fleet/<name>
  LAB_CACHE   base images and packages, default /var/cache/ecommerce-fleet
  LAB_OS      what `lab up` has images of, default both: al2, al2023 or both
  LAB_BASE    imported images instead of the stand-ins, one of each system: NAME or NAME,NAME (lab image list)
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, runs, and turns a LabError into a message and exit code 1."""
    arguments = _parser().parse_args(sys.argv[1:] if argv is None else list(argv))
    try:
        code = arguments.command(Settings.load(), arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab",
        description="A local AWS with real machines: EC2, Auto Scaling, load balancers, Systems Manager, S3 and what they need.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, function: Callable[[Settings, Any], int], text: str, **more: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", **more)
        made.set_defaults(command=function)
        return made

    up = command("up", _up, "start the lab, or clean up and start after it was killed")
    up.add_argument(
        "--os", choices=[*OPERATING_SYSTEMS, "both"], help="which base images it has (default: LAB_OS or both)"
    )
    status = command("status", _status, "show what runs")
    status.add_argument("--json", action="store_true", help="for programs")
    run = command("run", _run, "run a command inside the lab: its AWS, its network, its names")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD…", help="the command and its arguments")
    command("shell", _shell, "open a shell inside the lab")
    ssh = command("ssh", _ssh, "log in to an instance as ec2-user")
    ssh.add_argument("host", metavar="HOST", help="instance id, Name tag or private address")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD…", help="a command to run there instead of a shell")
    opened = command("open", _open, "forward a loopback port to a load balancer until Ctrl-C")
    opened.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    opened.add_argument("--name", help="which load balancer (default: the only one)")
    advisory = command("advisory", _advisory, "make a security update appear in the package repositories, or disappear")
    advisory.add_argument("action", choices=["publish", "withdraw"])
    logs = command("logs", _logs, "show the daemon's log, or a machine's console")
    logs.add_argument("host", nargs="?", metavar="INSTANCE_ID")
    down = command("down", _down, "stop the lab and remove all that it has made")
    down.add_argument("--purge", action="store_true", help="also remove the cache of base images and packages")
    _image_parser(command)
    commands.add_parser("serve").set_defaults(command=_serve)
    return parser


def _image_parser(command: Callable[..., argparse.ArgumentParser]) -> None:
    image = command("image", _image_list, "base images made of real container images: import, list, remove")
    actions = image.add_subparsers(metavar="ACTION")
    imported = actions.add_parser("import", help="make a base image of a container image of Amazon Linux")
    imported.set_defaults(command=_image_import)
    kinds = "docker://HOST/NAME:TAG, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE"
    imported.add_argument("reference", metavar="REFERENCE", help=kinds)
    imported.add_argument("--name", help="what LAB_BASE calls it (default: from the reference)")
    imported.add_argument(
        "--repository",
        action="append",
        default=[],
        metavar="URL",
        help="take packages from this mirror instead (repeatable)",
    )
    imported.add_argument(
        "--repo-file", type=Path, metavar="FILE", help="take packages from what this .repo file names instead"
    )
    listing = actions.add_parser("list", help="show what is imported")
    listing.set_defaults(command=_image_list)
    removed = actions.add_parser("remove", help="remove an imported image")
    removed.set_defaults(command=_image_remove)
    removed.add_argument("name", metavar="NAME")


def _up(settings: Settings, arguments: Any) -> int:
    _check_host()
    from dataclasses import replace  # noqa: PLC0415

    from lab import lifecycle  # noqa: PLC0415 - imports what exists on Linux only

    if arguments.os:
        settings = replace(settings, oses=operating_systems(arguments.os))
    progress = _progress()
    lifecycle.up(settings, progress)
    progress(f"lab {settings.name!r} is up; try: lab status, lab run aws ec2 describe-images, lab shell")
    return 0


def _down(settings: Settings, arguments: Any) -> int:
    _check_host()
    from lab import lifecycle  # noqa: PLC0415

    lifecycle.down(settings, _progress(), purge=arguments.purge)
    return 0


def _serve(settings: Settings, arguments: Any) -> int:
    from lab.server import serve  # noqa: PLC0415

    serve(settings)
    return 0


def _status(settings: Settings, arguments: Any) -> int:
    _check_host()
    from lab import report  # noqa: PLC0415

    return report.show(settings, as_json=arguments.json)


def _run(settings: Settings, arguments: Any) -> int:
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv:
        print("lab: lab run needs a command, for example: lab run aws ec2 describe-instances", file=sys.stderr)
        return USAGE_ERROR
    return _become(settings, argv)


def _shell(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(f"Inside lab {settings.name!r}: AWS is {settings.endpoint}. Leave with `exit`.", file=sys.stderr)
    return _become(settings, [shell, "-i"])


def _ssh(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    environ = dict(os.environ)
    from lab.client import Client  # noqa: PLC0415

    instance = Client(settings).find_instance(arguments.host)
    options = {
        "IdentityFile": str(settings.ssh_key),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(settings.known_hosts),
        # An address is used again by a later instance, an instance id never.
        "HostKeyAlias": instance["InstanceId"],
        "StrictHostKeyChecking": "accept-new",
        "LogLevel": "ERROR",
    }
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    return _become(settings, ["ssh", *flags, f"ec2-user@{instance['PrivateIpAddress']}", *arguments.argv], environ)


def _open(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    from lab import report  # noqa: PLC0415
    from lab.forward import Forwarder  # noqa: PLC0415

    # It listens out here before the look-up moves this thread into the lab's network.
    with Forwarder(arguments.port, settings.netns_path) as forwarder:
        address, port = forwarder.target = report.load_balancer_address(settings, arguments.name)
        print(f"http://127.0.0.1:{forwarder.port}/  →  {address}:{port} in the lab; Ctrl-C ends it", flush=True)
        forwarder.serve_forever(poll_interval=0.2)
    return 0


def _advisory(settings: Settings, arguments: Any) -> int:
    _require_up(settings)
    from lab.standin import build  # noqa: PLC0415

    publish = arguments.action == "publish"
    for repository in sorted(settings.repositories_dir.iterdir()):
        (build.publish_advisory if publish else build.withdraw_advisory)(repository)
        print(f"{repository.name}: security update {'published' if publish else 'withdrawn'}")
    return 0


def _logs(settings: Settings, arguments: Any) -> int:
    name = arguments.host
    path = settings.machines_dir / name / "console.log" if name else settings.logs_dir / "daemon.log"
    try:
        sys.stdout.write(path.read_text(errors="replace"))
    except OSError as error:
        raise LabError(f"No log {path}: {error.strerror}", hint="Is the lab up? `lab status`") from error
    return 0


def _image_import(settings: Settings, arguments: Any) -> int:
    _check_host()
    from lab import imports  # noqa: PLC0415
    from lab.import_packages import Repositories  # noqa: PLC0415

    repositories = Repositories(tuple(arguments.repository), arguments.repo_file)
    name = arguments.name or imports.default_name(arguments.reference)
    progress = _progress()
    image = imports.import_image(settings, arguments.reference, name, repositories, progress)
    if image.lacking:
        progress(f"its repositories do not have {', '.join(image.lacking)}: roles that install them will fail")
    progress(f"{image.release} is the base image {name!r}; try: LAB_BASE={name} lab up --os {image.os}")
    return 0


def _image_list(settings: Settings, arguments: Any) -> int:
    from lab import imports  # noqa: PLC0415

    for image in imports.every(settings.cache):
        print(f"{image.name:<24} {image.os:<7} {image.imported}  {image.digest[:19]}  {image.release}  {image.source}")
    return 0


def _image_remove(settings: Settings, arguments: Any) -> int:
    _check_host()
    from lab import imports  # noqa: PLC0415

    for name in imports.remove(settings, arguments.name):
        print(f"removed {name}")
    return 0


def _become(settings: Settings, argv: Sequence[str], environ: dict[str, str] | None = None) -> int:
    """Replaces this process by a command inside the lab: its exit code, signals and terminal are the command's own."""
    _require_up(settings)
    from lab import inside  # noqa: PLC0415
    from lab.run import replace  # noqa: PLC0415

    user = dict(os.environ) if environ is None else environ
    aside = environment.credentials_set_aside(settings, user)
    if aside:
        print(
            f"lab: {', '.join(aside)} of your environment are set aside; this command sees only the lab's AWS.",
            file=sys.stderr,
        )
    inside.enter_network(settings.netns_path)
    inside.own_mounts()
    inside.bind(settings.hosts_file, Path("/etc/hosts"))
    inside.bind(settings.state / "resolv.conf", Path("/etc/resolv.conf"))
    replace(argv, environment.inside(settings, user))


def _check_host() -> None:
    host.require_linux()
    host.require_root()


def _require_up(settings: Settings) -> None:
    _check_host()
    from lab import status  # noqa: PLC0415

    status.require(settings)


def _progress() -> Callable[[str], None]:
    start = time.monotonic()

    def show(message: str) -> None:
        print(f"lab {time.monotonic() - start:6.1f} s  {message}", file=sys.stderr, flush=True)

    return show
