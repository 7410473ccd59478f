"""ansible-test sanity on the built collection, as the Galaxy and Automation Hub reviewers run it.

    .venv/bin/python -m tests.support.sanity [--core 2.16|current] [TEST…]

Everything lies under build/sanity, a home directory of its own included: ansible-test keeps environments and a bootstrap of pip in the home
directory, and the caller's is left alone. The second run takes the environments from there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENVS = {"2.16": ROOT / ".venv", "current": ROOT / ".venv-current"}
BESIDE = ("amazon/aws", "community/aws", "ansible/posix")
"""Collections that this one uses; they come with the `ansible` package."""
PIPS = ("23.1.2", "24.2")
"""Versions of pip that ansible-test 2.16 and 2.19 want in their environments."""
NOT_RUN = {
    "changelog": "antsibull-changelog and galaxy-importer check ours; its pinned docutils is older",
    "pslint": "there is no PowerShell in the collection",
}
"""Test → why it is not run with any core. `compile` and `import` run with the control node's Python only: the modules run for real under
2.7, 3.7 and 3.9 in tests/lab/test_host_modules.py."""
NOT_RUN_BY = {
    "2.16": {
        "empty-init": "forbids the sentence that says what a package is; 2.19 does not",
        "future-import-boilerplate": "takes control-node code for code of Python 2.7; tests/lint/test_headers.py looks at each file",
        "metaclass-boilerplate": "the same",
    },
    "current": {},
}
"""Core → test → why it is not run with that core."""
GET_PIP = """\
# ansible-test would fetch this from the network; PyPI has the same.
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
packages = [a for a in sys.argv[1:] if "==" in a]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
"""


def build(folder: Path, venv: Path = VENVS["2.16"]) -> Path:
    """The collection's archive, made in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [venv / "bin/ansible-galaxy", "collection", "build", "--force", "--output-path", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    return max(folder.glob("ecommerce-fleet-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def site_packages(venv: Path) -> Path:
    code = "import ansible_collections; print(list(ansible_collections.__path__)[0])"
    command = [venv / "bin/python", "-c", code]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip())


def unpack(archive: Path, folder: Path, venv: Path) -> Path:
    """The collection as an installed one in a git repository of its own, with those that it uses beside it."""
    collection = folder / "ansible_collections/ecommerce/fleet"
    shutil.rmtree(folder, ignore_errors=True)
    collection.mkdir(parents=True)
    with tarfile.open(archive) as content:
        content.extractall(collection, filter="data")
    for made in ("MANIFEST.json", "FILES.json"):
        (collection / made).unlink()
    shutil.copy(ROOT / "galaxy.yml", collection)
    for name in BESIDE:
        beside = folder / "ansible_collections" / name
        beside.parent.mkdir(exist_ok=True)
        beside.symlink_to(site_packages(venv) / name)
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=collection, check=True, timeout=60)
    return collection


def home() -> Path:
    """A home directory with the bootstrap of pip, and with the caller's settings of pip: ansible-test passes no variables on."""
    folder = ROOT / "build/sanity/home"
    cache = folder / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in PIPS:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True, timeout=60
    )
    settings = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    config = folder / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in dict(settings).items()))
    return folder


def sanity(core: str, tests: list[str], timeout: float = 1500) -> subprocess.CompletedProcess[str]:
    """Runs the named tests, or all that can run here. ``core``: 2.16 or current."""
    venv = VENVS[core]
    folder = ROOT / "build/sanity" / core
    archive = build(ROOT / "build/sanity/archive" / core, venv)
    collection = unpack(archive, folder, venv)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(
        [
            *(venv / "bin/ansible-test", "sanity", "--color", "no", "--truncate", "0", "--python", "3.11"),
            *(part for name in tests for part in ("--test", name)),
            *(part for name in {**NOT_RUN, **NOT_RUN_BY[core]} if not tests for part in ("--skip-test", name)),
        ],
        cwd=collection,
        env={**kept, "HOME": str(home()), "LC_ALL": "C.UTF-8", "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.sanity", description=__doc__)
    parser.add_argument("--core", choices=VENVS, default="current")
    parser.add_argument("tests", nargs="*", metavar="TEST", help="such as validate-modules; default: all")
    arguments = parser.parse_args()
    done = sanity(arguments.core, arguments.tests)
    print(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
