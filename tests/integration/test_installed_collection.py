"""README.md's "Against AWS" from a collection installed in an empty folder: every command, against a lab, only the values replaced."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.image_lab import ROOT, ImageLab
from tests.support.sanity import build

pytestmark = [pytest.mark.lab, pytest.mark.slow]
ACCOUNT, LAB_ACCOUNT = "111111111111", "000000000000"


def commands(archive: Path) -> str:
    """The blocks of the section as one script, for the lab's values."""
    section = (ROOT / "README.md").read_text().split("## Against AWS\n")[1].split("\n## ")[0]
    script = "\n".join(re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    replaced = {
        "collection install ecommerce.fleet": f"collection install --offline {archive}",
        "export AWS_PROFILE=prod": "true",
        "inventory/prod": "inventory/lab",
        "vars/prod.pkrvars": "vars/lab.pkrvars",
        ACCOUNT: LAB_ACCOUNT,
        "file=shop-": "file=../shop-",
        "$(sha256sum shop-": "$(sha256sum ../shop-",
        "/$file ": "/$(basename $file) ",
    }
    for own, labs in replaced.items():
        assert own in script, f"README has no '{own}'"
        script = script.replace(own, labs)
    assert "prod" not in re.sub(r"#.*", "", script)
    return script


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageLab]:
    made = ImageLab("galaxy", "al2023")
    made.environment = {key: value for key, value in made.environment.items() if not key.startswith("ANSIBLE_")}
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\n  name = Fleet\n  email = fleet@example.com\n")
    made.environment |= {"HOME": str(home), "ANSIBLE_NOCOLOR": "1"}
    made.up()
    yield made
    made.lab("down", timeout=120)


def shop(version: str, out: Path) -> None:
    argv = [sys.executable, "examples/shop/build.py", "--kind", "nodejs", "--version", version, "--out", str(out)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=60)
    next(out.glob(f"*{version}*.tar.gz")).rename(out / f"shop-{version}.tar.gz")


def written(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_every_command_of_the_readme_runs_from_an_empty_folder(lab: ImageLab, tmp_path: Path) -> None:
    for version in ("2.4.0", "2.4.1"):
        shop(version, tmp_path)
    script = commands(build(tmp_path / "archive"))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lab"), "run", "bash", "-xeuo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=lab.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert str(ROOT / "playbooks") not in done.stdout
    fleet = tmp_path / "my-fleet"
    assert (fleet / "build/hardening/lab/fleet.html").exists()
    assert list((fleet / "build/packer").glob("*/image-manifest.json"))
    collection = Path(lab.environment["HOME"]) / ".ansible/collections/ansible_collections/ecommerce/fleet"
    listed = json.loads((collection / "FILES.json").read_text())["files"]
    ours = {collection / entry["name"] for entry in listed} | {collection / "MANIFEST.json", collection / "FILES.json"}
    assert [path for path in map(Path, written(collection)) if path not in ours] == []
