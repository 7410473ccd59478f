"""Up and down: from nothing to a ready lab, and back to nothing, whatever an earlier lab has left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab import environment, prerequisites, processes
from lab.daemon import leftovers, status_file
from lab.errors import LabError
from lab.imports import catalog
from lab.machines import cgroups
from lab.machines.images import ImageStore
from lab.modes import usual_umask
from lab.network.hosts_file import HostsFile
from lab.network.lab_network import LabNetwork
from lab.run import run, spawn
from lab.settings import Settings
from lab.standin import build

Progress = Callable[[str], None]
READY_SECONDS = 90
STOP_SECONDS = 40
MARK = "this-is-a-lab"
"""A file in the state directory, so that nothing but a lab's state is ever deleted."""


def up(settings: Settings, progress: Progress) -> status_file.Daemon:
    """Starts the lab and returns once it is ready. A ready one is left as it is; what a killed one left is removed first.

    Needs root on Linux (`prerequisites.require_linux`, `prerequisites.require_root`)."""
    prerequisites.require_programs()
    prerequisites.require_overlayfs()
    with _alone(settings), usual_umask():
        daemon = status_file.read(settings)
        if daemon is not None:
            missing = set(settings.oses) - set(daemon.oses)
            if missing:
                raise LabError(
                    f"The lab {settings.name!r} is up without {', '.join(sorted(missing))}",
                    hint="Run `lab down`, then `lab up --os both`.",
                )
            _require_same_bases(settings)
            progress(f"already up since {daemon.started}")
            return daemon
        _clean(settings, progress)
        _make_state(settings)
        _prepare_images(settings, progress)
        try:
            return _start(settings, progress)
        except BaseException:
            leftovers.remove(settings)
            raise


def down(settings: Settings, progress: Progress, *, purge: bool = False) -> None:
    """Stops the lab and removes all that it has made; with `purge` the cache too. A lab that is not there is no error, but is named."""
    if processes.in_lab(settings, os.getpid()):
        raise LabError(
            "This command runs inside the lab, which it would stop", hint="Leave `lab shell` or `lab run` first."
        )
    with _alone(settings):
        daemon = status_file.read(settings)
        there = daemon is not None or settings.state.exists() or settings.netns_path.exists()
        if daemon is not None:
            progress("stopping machines and load balancers")
            processes.terminate(daemon.pid, STOP_SECONDS)
        _clean(settings, progress)
        if purge:
            _purge(settings, progress)
    progress(
        f"lab {settings.name!r} is down"
        if there
        else f"there is no lab {settings.name!r}; those that there are: lab list"
    )


def _clean(settings: Settings, progress: Progress) -> None:
    """Removes the processes, the namespace and the state of a lab of this name."""
    ended = leftovers.remove(settings)
    if ended:
        progress(f"ended {ended} processes that an earlier lab left")
    cgroups.remove(settings.name)
    settings.control_socket.unlink(missing_ok=True)
    state = settings.state
    if not state.exists():
        return
    if not (state / MARK).exists() and any(state.iterdir()):
        raise LabError(
            f"{state} has something in it that is not a lab's state", hint="Set LAB_STATE to an empty or new directory."
        )
    shutil.rmtree(state)
    shutil.rmtree(settings.control_path_dir, ignore_errors=True)
    with contextlib.suppress(OSError):
        state.parent.rmdir()


def _make_state(settings: Settings) -> None:
    settings.state.mkdir(parents=True, mode=0o755)
    (settings.state / MARK).touch()
    for made in (
        settings.machines_dir,
        settings.images_dir,
        settings.balancers_dir,
        settings.logs_dir,
        settings.repositories_dir,
    ):
        made.mkdir()
    HostsFile(settings.hosts_file).set("lab", {})
    (settings.state / "resolv.conf").touch()
    settings.ssh_key.parent.mkdir(mode=0o700)
    run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{settings.name}", "-f", settings.ssh_key],
        timeout=30,
    )


def _prepare_images(settings: Settings, progress: Progress) -> None:
    """Base images and package repositories: from the cache, or built now."""
    settings.cache.mkdir(parents=True, exist_ok=True)
    store, imported = ImageStore(settings), catalog.chosen(settings)
    for os_name in settings.oses:
        if os_name in imported:
            image = imported[os_name]
            progress(f"{os_name} is the imported image {image.folder.name} ({image.release})")
            store.set_base(os_name, image.root)
            (settings.repositories_dir / os_name).symlink_to(image.repository)
            continue
        store.set_base(os_name, build.base_image(os_name, settings.cache, progress))
        build.lab_repository(os_name, settings.cache, settings.repositories_dir / os_name, progress)


def _require_same_bases(settings: Settings) -> None:
    """Raises LabError when LAB_BASE names an image that the running lab was not started with."""
    store = ImageStore(settings)
    for os_name, image in catalog.chosen(settings).items():
        if store.base(os_name) != (image.root,):
            raise LabError(
                f"The lab {settings.name!r} is up with another image of {os_name} than {image.name}",
                hint="Run `lab down`, then `lab up` with LAB_BASE set.",
            )


def _start(settings: Settings, progress: Progress) -> status_file.Daemon:
    progress(f"network {settings.netns} and AWS endpoint {settings.endpoint}")
    LabNetwork(settings).create()
    log = settings.logs_dir / "daemon.log"
    env = environment.inside(settings, os.environ) | {
        "LAB_OS": "both" if len(settings.oses) > 1 else settings.oses[0],
        "LAB_BASE": ",".join(settings.bases),
    }
    daemon = spawn([sys.executable, "-m", "lab", "serve"], log=log, env=env)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        ready = status_file.read(settings)
        if ready is not None:
            return ready
        if daemon.poll() is not None:
            raise LabError(
                f"The lab's daemon ended with code {daemon.returncode}:\n{_tail(log)}",
                hint="Run `lab up` again, or `lab down`.",
            )
        time.sleep(0.05)
    raise LabError(
        f"The lab's daemon was not ready within {READY_SECONDS} s:\n{_tail(log)}",
        hint="Run `lab up` again, or `lab down`.",
    )


def _purge(settings: Settings, progress: Progress) -> None:
    others = sorted(p.name for p in Path("/run/netns").glob("fleet-*")) if Path("/run/netns").is_dir() else []
    if others:
        raise LabError(f"Other labs use the cache {settings.cache}: {', '.join(others)}", hint="Stop them first.")
    if settings.cache.exists():
        progress(f"removing the cache {settings.cache}")
        shutil.rmtree(settings.cache)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Two commands at once do not start or stop the same lab; the second waits."""
    path = Path("/run") / f"{settings.netns}.lock"
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists() or not path.samefile(f"/proc/self/fd/{lock.fileno()}"):
                continue  # whoever held it has removed it
            try:
                yield
            finally:
                path.unlink()
            return


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])
