"""The `lab` command: its arguments and help texts. What the commands do is in `lab.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import prerequisites
from lab.errors import LabError
from lab.settings import OPERATING_SYSTEMS, Settings

EPILOG = """\
examples:
  lab up                                   start (the first time builds the base images, about a minute)
  lab run aws ec2 describe-instances       anything that talks to AWS talks to the lab
  lab run ansible-inventory --graph
  lab ssh HOST                             HOST as `lab status` shows it: instance id, private address or Name tag
  lab logs HOST                            the console of an instance
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
        prerequisites.require_linux()
        from lab import commands  # noqa: PLC0415 - imports what exists on Linux only

        code = getattr(commands, arguments.command)(Settings.load(), arguments)
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

    def command(name: str, text: str, function: str = "") -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(command=function or name)
        return made

    up = command("up", "start the lab, or clean up and start after it was killed")
    up.add_argument(
        "--os", choices=[*OPERATING_SYSTEMS, "both"], help="which base images it has (default: LAB_OS or both)"
    )
    status = command("status", "show what runs")
    status.add_argument("--json", action="store_true", help="for programs")
    command("list", "list the labs on this machine", "list_labs")
    run = command("run", "run a command inside the lab: its AWS, its network, its names")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD…", help="the command and its arguments")
    command("shell", "open a shell inside the lab")
    ssh = command("ssh", "open a session on an instance (aws ssm start-session), or run a command there as ec2-user")
    ssh.add_argument(
        "--direct", action="store_true", help="SSH to its address, without a session: when its agent is not online"
    )
    ssh.add_argument("host", metavar="HOST", help="instance id, Name tag or private address")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD…", help="a command to run there instead of a shell")
    opened = command("open", "forward a loopback port to a load balancer until Ctrl-C", "open_balancer")
    opened.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    opened.add_argument("--name", help="which load balancer (default: the only one)")
    advisory = command("advisory", "make a security update appear in the package repositories, or disappear")
    advisory.add_argument("action", choices=["publish", "withdraw"])
    save = command("save", "save the lab under a name: records, images, machines' disks (machines boot again)")
    save.add_argument("name", metavar="NAME")
    restore = command("restore", "put the lab back to what it was when it was saved")
    restore.add_argument("name", metavar="NAME")
    logs = command("logs", "show the daemon's log, or a machine's console")
    logs.add_argument("host", nargs="?", metavar="HOST", help="instance id, Name tag or private address")
    down = command("down", "stop the lab and remove all that it has made")
    down.add_argument("--purge", action="store_true", help="also remove the cache of base images and packages")
    _image_parser(command)
    commands.add_parser("serve").set_defaults(command="serve")
    return parser


def _image_parser(command: Callable[..., argparse.ArgumentParser]) -> None:
    image = command("image", "base images made of real container images: import, list, remove", "image_list")
    actions = image.add_subparsers(metavar="ACTION")
    imported = actions.add_parser("import", help="make a base image of a container image of Amazon Linux")
    imported.set_defaults(command="image_import")
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
    listing.set_defaults(command="image_list")
    removed = actions.add_parser("remove", help="remove an imported image")
    removed.set_defaults(command="image_remove")
    removed.add_argument("name", metavar="NAME")
