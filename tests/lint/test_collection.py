"""What a user of the collection gets: it builds, installs, and documents every role and plugin."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.support.tree import ROOT, output, roles, run

PLUGIN_KINDS = ("action", "callback", "connection", "filter", "inventory", "lookup", "modules", "test")
NOT_SHIPPED = (
    "build/",
    "demo/",
    "lab/",
    "molecule/",
    "tests/",
    "tools/",
    ".venv",
    ".git/",
    ".ci/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".pytest_cache/",
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    done = run("ansible-galaxy", "collection", "build", "--output-path", str(folder))
    assert done.returncode == 0, output(done)
    return next(folder.glob("ecommerce-fleet-*.tar.gz"))


def test_the_collection_holds_what_a_user_needs_and_nothing_else(artifact: Path) -> None:
    with tarfile.open(artifact) as archive:
        names = archive.getnames()
    assert [name for name in names if name.startswith(NOT_SHIPPED)] == []
    assert {"README.md", "LICENSE", "meta/runtime.yml", *(f"roles/{role}" for role in roles())} <= set(names)


def installed(python: str) -> dict[str, Version]:
    """The versions of the collections that our environment `python` tries."""
    found = (ROOT / python).glob("lib/python*/site-packages/ansible_collections/*/*/MANIFEST.json")
    described = [json.loads(file.read_text())["collection_info"] for file in found]
    return {f"{info['namespace']}.{info['name']}": Version(info["version"]) for info in described}


def test_what_is_demanded_of_other_collections_has_the_bounds_of_what_is_tried() -> None:
    """Galaxy gives the newest version that is allowed, whatever ansible-core is there."""
    pinned = {
        item["name"]: item["version"] for item in yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    }
    tried = {name: [installed(".venv")[name]] for name in pinned}
    assert {name: str(version) for name, (version,) in tried.items()} == pinned
    assert all(f"{name}:{version}" in (ROOT / "README.md").read_text() for name, version in pinned.items())
    if (ROOT / ".venv-current").exists():
        tried = {name: [*versions, installed(".venv-current")[name]] for name, versions in tried.items()}
    for name, demanded in yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"].items():
        allowed = SpecifierSet(demanded)
        assert all(version in allowed for version in tried[name]), name
        if (ROOT / ".venv-current").exists():
            assert Version(f"{max(tried[name]).major + 1}.0.0") not in allowed, name


def test_the_built_collection_installs(artifact: Path, tmp_path: Path) -> None:
    done = run(
        "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        "--force",
        "--no-deps",
        "--collections-path",
        str(tmp_path),
        str(artifact),
    )
    assert done.returncode == 0, output(done)
    assert (tmp_path / "ansible_collections/ecommerce/fleet/MANIFEST.json").exists(), output(done)
    manifest = json.loads((tmp_path / "ansible_collections/ecommerce/fleet/MANIFEST.json").read_text())
    assert manifest["collection_info"]["version"] == yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]


def plugins() -> list[tuple[str, str]]:
    """(kind as ansible-doc calls it, full name) of every plugin that can be documented."""
    found = []
    for kind in PLUGIN_KINDS:
        for file in sorted((ROOT / "plugins" / kind).glob("*.py")):
            documented = (
                kind in {"modules", "lookup", "callback", "connection", "inventory"}
                or "DOCUMENTATION" in file.read_text()
            )
            if documented and file.name != "__init__.py":
                found.append(("module" if kind == "modules" else kind, f"ecommerce.fleet.{file.stem}"))
    return found


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in plugins()}))
def test_ansible_doc_shows_every_plugin(kind: str) -> None:
    names = [name for of, name in plugins() if of == kind]
    done = run("ansible-doc", "--json", "-t", kind, *names)
    assert done.returncode == 0, output(done)
    shown = json.loads(done.stdout)
    assert [name for name in names if not shown.get(name, {}).get("doc", {}).get("short_description")] == [], output(
        done
    )


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in plugins() if kind == "module"}))
def test_every_module_says_what_it_returns_and_shows_an_example(kind: str) -> None:
    names = [name for of, name in plugins() if of == kind]
    shown = json.loads(run("ansible-doc", "--json", "-t", kind, *names).stdout)
    assert [name for name in names if not shown[name].get("examples")] == []
    assert [name for name in names if not shown[name].get("return")] == []


def test_ansible_doc_shows_every_role() -> None:
    names = [f"ecommerce.fleet.{role}" for role in roles()]
    done = run("ansible-doc", "--json", "-t", "role", *names)
    assert done.returncode == 0, output(done)
    shown = json.loads(done.stdout)
    assert [name for name in names if not shown.get(name, {}).get("entry_points", {}).get("main")] == [], output(done)


def test_every_playbook_parses() -> None:
    playbooks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "playbooks").glob("*.yml"))
    done = run("ansible-playbook", "--syntax-check", "-i", "localhost,", *playbooks)
    assert done.returncode == 0, output(done)
