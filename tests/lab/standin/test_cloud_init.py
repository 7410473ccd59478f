"""What the stand-in's cloud-init leaves in /etc, as the real one does, and that AIDE's rules of the collection know it. No machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "lab/standin/packages/cloud-init/root/usr/bin/cloud-init"
FILES = ROOT / "lab/standin/files"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of an Amazon Linux 2023 stand-in that cloud-init looks at."""
    for system in ("common", "al2023"):
        for folder in ("etc/ssh", "etc/sudoers.d", "etc/systemd"):
            if (FILES / system / folder).is_dir():
                shutil.copytree(FILES / system / folder, tmp_path / folder, dirs_exist_ok=True)
    shutil.copy(FILES / "al2023/etc/os-release", tmp_path / "etc/os-release")
    return tmp_path


@pytest.fixture
def program(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = SourceFileLoader("standin_cloud_init", str(PROGRAM))
    spec = spec_from_loader("standin_cloud_init", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    monkeypatch.setattr(module, "Path", lambda path: root / str(path).lstrip("/"))
    monkeypatch.setattr(module, "fetch", lambda path, _token: {"meta-data/mac": b"0a:00:0a:00:20:11"}[path])
    return module


def texts(root: Path) -> dict[str, str]:
    return {str(f.relative_to(root)): f.read_text() for f in root.rglob("*") if f.is_file()}


def test_a_first_boot_leaves_what_the_real_one_leaves(program: ModuleType, root: Path) -> None:
    before = texts(root)
    program.write_once_for_an_instance("token")
    after = texts(root)
    new = after.keys() - before.keys()
    assert new == {
        "etc/locale.conf",
        "etc/ssh/sshd_config.d/50-cloud-init.conf",
        "etc/systemd/network/10-cloud-init-eth0.network",
    }
    assert (root / "etc/ssh/sshd_config.d/50-cloud-init.conf").stat().st_mode & 0o777 == 0o600
    assert after["etc/sudoers.d/90-cloud-init-users"].count("ec2-user ALL=(ALL) NOPASSWD:ALL") == 2


def test_another_instance_gets_another_sudo_rule_and_its_own_network_card_and_nothing_else(
    program: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "etc/locale.conf").write_text("LANG=C.UTF-8\n")
    program.write_once_for_an_instance("token")
    before = texts(root)
    monkeypatch.setattr(program, "fetch", lambda _path, _token: b"0a:00:0a:00:20:12")
    program.write_once_for_an_instance("token")
    after = texts(root)
    assert {name for name in after if after[name] != before.get(name)} == {
        "etc/sudoers.d/90-cloud-init-users",
        "etc/systemd/network/10-cloud-init-eth0.network",
    }
    assert after["etc/locale.conf"] == "LANG=C.UTF-8\n"


def test_on_amazon_linux_2_there_is_no_drop_in_and_no_network_file(program: ModuleType, root: Path) -> None:
    shutil.rmtree(root / "etc/ssh")
    shutil.copytree(FILES / "al2/etc/ssh", root / "etc/ssh")
    shutil.copy(FILES / "al2/etc/os-release", root / "etc/os-release")
    program.write_once_for_an_instance("token")
    assert not list(root.rglob("*cloud-init*.conf"))
    assert not (root / "etc/systemd/network/10-cloud-init-eth0.network").exists()


def test_aides_rules_know_every_file_that_a_first_boot_makes_or_changes(program: ModuleType, root: Path) -> None:
    """But for the locale, which the role system writes."""
    controls = yaml.safe_load((ROOT / "controls/integrity.yml").read_text())
    (control,) = [c for c in controls if c["id"] == "aide-first-boot"]
    rules = [entry["line"].split()[0].removeprefix("=") for entry in control["state"]["present"]]
    before = texts(root)
    program.write_once_for_an_instance("token")
    changed = {name for name, text in texts(root).items() if before.get(name) != text} - {"etc/locale.conf"}
    made = {f"etc/ssh/ssh_host_{kind}_key{end}" for kind in ("rsa", "dsa", "ecdsa", "ed25519") for end in ("", ".pub")}
    unknown = [name for name in changed | made if not any(re.match(rule, f"/{name}") for rule in rules)]
    assert changed and unknown == []


def test_the_key_that_sshd_does_not_use_has_the_mode_of_the_real_one(
    program: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: list[str] = []
    monkeypatch.setattr(program.shutil, "chown", lambda _path, group: owners.append(group))
    if subprocess.run(["ssh-keygen", "-q", "-t", "dsa", "-f", root / "try", "-N", ""], check=False).returncode:
        pytest.skip("this OpenSSH makes no DSA keys")
    program.make_the_key_that_sshd_does_not_use()
    assert (root / "etc/ssh/ssh_host_dsa_key").stat().st_mode & 0o777 == 0o640
    assert owners == ["ssh_keys"]
