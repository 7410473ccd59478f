"""Files of programs with drop-ins, in the order in which the programs read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import drop_ins
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

OURS = "/etc/systemd/journald.conf.d/60-fleet.conf"
TEXT = "# ours\n[Journal]\nSystemMaxUse=512M\nStorage=persistent\n"
PARAMETERS = "/etc/sysctl.d/60-fleet.conf"


def put(root: Path, path: str, text: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_drop_ins_are_read_by_name_whatever_folder_they_lie_in(tmp_path: Path) -> None:
    for path in ("/usr/lib/systemd/journald.conf.d/90-a.conf", "/etc/systemd/journald.conf.d/10-b.conf",
                 "/run/systemd/journald.conf.d/50-c.conf", "/usr/local/lib/systemd/journald.conf.d/70-d.conf"):  # fmt: skip
        put(tmp_path, path, "")
    found = drop_ins.systemd_drop_ins(System(str(tmp_path)), OURS, OURS)
    assert [path.rsplit("/", 1)[1] for path in found] == [
        "10-b.conf",
        "50-c.conf",
        "60-fleet.conf",
        "70-d.conf",
        "90-a.conf",
    ]


def test_of_two_with_one_name_that_of_etc_counts_then_that_of_run(tmp_path: Path) -> None:
    for folder in ("/usr/lib", "/usr/local/lib", "/run", "/etc"):
        put(tmp_path, f"{folder}/sysctl.d/50-a.conf", "")
        assert drop_ins.sysctl_files(System(str(tmp_path)))[0] == f"{folder}/sysctl.d/50-a.conf"


@pytest.mark.parametrize("folder", ["/usr/lib", "/usr/local/lib", "/run", "/etc"])
@pytest.mark.parametrize("value", ["1G", ""])
def test_a_later_drop_in_that_sets_it_otherwise_is_named(tmp_path: Path, folder: str, value: str) -> None:
    other = f"{folder}/systemd/journald.conf.d/zz-local.conf"
    put(tmp_path, other, f"[Journal]\nSystemMaxUse = {value}\n#Storage=none\n")
    (sentence,) = drop_ins.overridden(System(str(tmp_path)), OURS, TEXT)
    assert sentence.startswith(f"SystemMaxUse is {value or 'empty'}, not what {OURS} sets: {other} is read after it")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/journald.conf", "[Journal]\nSystemMaxUse=1G\n"),
        ("/etc/systemd/journald.conf.d/50-a.conf", "[Journal]\nSystemMaxUse=1G\n"),
        ("/etc/systemd/journald.conf.d/90-a.conf", "[Journal]\nSystemMaxUse=512M\n"),
        ("/etc/systemd/journald.conf.d/90-a.conf", "[Other]\nSystemMaxUse=1G\n"),
        ("/etc/systemd/journald.conf.d/90-a.conf.rpmsave", "[Journal]\nSystemMaxUse=1G\n"),
        ("/etc/systemd/coredump.conf.d/90-a.conf", "[Journal]\nSystemMaxUse=1G\n"),
        ("/usr/lib/systemd/journald.conf.d/60-fleet.conf", "[Journal]\nSystemMaxUse=1G\n"),
    ],
)
def test_what_does_not_win_is_not_named(tmp_path: Path, path: str, text: str) -> None:
    put(tmp_path, path, text)
    assert drop_ins.overridden(System(str(tmp_path)), OURS, TEXT) == []


def test_the_last_of_several_decides(tmp_path: Path) -> None:
    put(tmp_path, "/etc/systemd/journald.conf.d/70-a.conf", "[Journal]\nSystemMaxUse=1G\n")
    put(tmp_path, "/etc/systemd/journald.conf.d/80-a.conf", "[Journal]\nSystemMaxUse=512M\n")
    assert drop_ins.overridden(System(str(tmp_path)), OURS, TEXT) == []


@pytest.mark.parametrize(
    "path", ["/etc/sysctl.conf", "/etc/sysctl.d/99-x.conf", "/usr/lib/sysctl.d/99-x.conf", "/run/sysctl.d/70.conf"]
)
@pytest.mark.parametrize("line", ["net.core.somaxconn = 128", "net/core/somaxconn=128", "-net.core.somaxconn=128"])
def test_kernel_parameters_are_found_in_every_spelling(tmp_path: Path, path: str, line: str) -> None:
    put(tmp_path, path, f"; a comment\n{line}\n")
    (sentence,) = drop_ins.overridden(
        System(str(tmp_path)), PARAMETERS, "net.core.somaxconn = 4096\nvm.swappiness = 10\n"
    )
    assert sentence.startswith(f"net.core.somaxconn is 128, not what {PARAMETERS} sets: {path} ")


def test_spaces_between_numbers_make_no_difference(tmp_path: Path) -> None:
    put(tmp_path, "/etc/sysctl.conf", "net.ipv4.tcp_rmem = 4096\t131072  16777216\n")
    assert drop_ins.overridden(System(str(tmp_path)), PARAMETERS, "net.ipv4.tcp_rmem = 4096 131072 16777216\n") == []


def test_names_of_interfaces_with_dots_are_not_confused() -> None:
    assert drop_ins.sysctl_value("net.ipv4.conf.all.rp_filter = 1\n", "net.ipv4.conf.default.rp_filter") is None
    assert drop_ins.sysctl_value("net/ipv4/conf/eth0.1/rp_filter = 1\n", "net/ipv4/conf/eth0.1/rp_filter") == "1"


LIMITS = "/etc/security/limits.d/60-fleet.conf"


@pytest.mark.parametrize(
    ("other", "text", "said"),
    [
        ("zz", "* - nofile 1024\n", ["* hard nofile is 1024, not what", "* soft nofile is 1024, not what"]),
        ("zz", "*\tHard\tNOFILE 1024 # less\n* hard nofile 65536\n", []),
        ("zz", "@web hard nofile 5\n# * hard nofile 5\n* hard nofile\n", []),
        ("10-a", "* hard nofile 5\n", []),
    ],
)
def test_a_limit_that_a_later_file_sets_otherwise_is_named(
    tmp_path: Path, other: str, text: str, said: list[str]
) -> None:
    put(tmp_path, f"/etc/security/limits.d/{other}.conf", text)
    found = drop_ins.overridden(System(str(tmp_path)), LIMITS, "* soft nofile 65536\n* hard nofile 65536\n")
    assert len(found) == len(said)
    assert [sentence for sentence, begin in zip(found, said, strict=True) if not sentence.startswith(begin)] == []


def test_what_comes_after_the_value_of_a_limit_is_passed_over() -> None:
    """pam_limits reads four words of a line (sscanf in its parse_config_file)."""
    assert drop_ins.limits_of("* hard nofile 9 of these\n* hard nofile\n") == {"* hard nofile": "9"}
