"""Makes an Amazon Linux stand-in of a Debian root: identity, paths, users and services as on the real one; nothing of Debian in sight."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.errors import LabError
from lab.run import run
from lab.standin import old
from lab.standin.cache import remove_tree

FILES = Path(__file__).with_name("files")

HIDDEN_PACKAGES = [
    "apt", "debconf", "debian-archive-keyring", "init-system-helpers", "libapt-pkg6.0", "adduser", "mawk-doc",
]  # fmt: skip
"""Debian packages with no counterpart on Amazon Linux: their files are taken out."""
UNMET = "usr/lib/*/tc/q_atm.so"
"""A plug-in whose library Debian only suggests."""
DEBIAN_ONLY = [
    "etc/debian_version", "etc/dpkg", "etc/apt", "etc/alternatives/README", "etc/bash.bashrc", "etc/cron.daily", "etc/cron.d",
    "etc/debconf.conf", "etc/init.d", "etc/rc0.d", "etc/rc1.d", "etc/rc2.d", "etc/rc3.d", "etc/rc4.d", "etc/rc5.d", "etc/rc6.d",
    "etc/rcS.d", "etc/default/cron", "etc/default/ssh", "etc/logrotate.conf", "etc/logrotate.d", "etc/motd", "etc/nftables.conf",
    "etc/update-motd.d", "etc/pam.d", "etc/ssh/sshd_config", "etc/ssh/sshd_config.d", "etc/sudoers", "etc/sudoers.d",
    "etc/dnf/aliases.d/zypper.conf", "etc/dnf/plugins/local.conf", "etc/dnf/plugins/versionlock.conf",
    "etc/dnf/plugins/versionlock.list", "etc/dnf/dnf.conf", "etc/systemd/system",
    "usr/lib/python3/dist-packages/dnf-plugins/local.py", "usr/lib/python3/dist-packages/dnf-plugins/show_leaves.py",
    "usr/lib/python3/dist-packages/dnf-plugins/versionlock.py", "usr/bin/dpkg", "usr/bin/dpkg-deb", "usr/bin/dpkg-divert",
    "usr/bin/dpkg-maintscript-helper", "usr/bin/dpkg-query", "usr/bin/dpkg-realpath", "usr/bin/dpkg-split",
    "usr/bin/dpkg-statoverride", "usr/bin/dpkg-trigger", "usr/share/dpkg", "usr/libexec/dpkg", "var/lib/dpkg", "var/lib/apt",
    "var/lib/systemd/deb-systemd-helper-enabled", "var/lib/ucf", "var/lib/pam", "var/cache/apt", "var/cache/debconf", "var/log/apt",
    "var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log", "etc/machine-id", "root/.bashrc",
    "usr/bin/update-alternatives", "var/log/README", "var/log/runit", "var/log/faillog",
]  # fmt: skip
DEBIAN_UNITS = [
    "ssh.service", "ssh@.service", "ssh.socket", "rescue-ssh.target", "dpkg-db-backup.service", "dpkg-db-backup.timer",
    "e2scrub@.service", "e2scrub_all.service", "e2scrub_all.timer", "e2scrub_fail@.service", "e2scrub_reap.service", "sudo.service",
    "rc.service", "rcS.service", "x11-common.service", "hwclock.service", "cryptdisks.service", "cryptdisks-early.service",
    "logrotate.service", "logrotate.timer", "nftables.service", "getty-static.service",
]  # fmt: skip
MASKED_UNITS = (
    "user@.service",
    "console-getty.service",
    "systemd-networkd-wait-online.service",
    "systemd-firstboot.service",
)
"""In a container: user@ hangs its stop job and with it a reboot; nobody sits at the console; cloud-init waits for the network itself."""
ADD_DEFAULT_USER = "useradd -m -c 'EC2 Default User' -s /bin/bash -G adm,wheel,systemd-journal ec2-user"
LINKS = {
    "bin/sh": "bash",
    "etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
    "usr/libexec/openssh/sftp-server": "../../lib/openssh/sftp-server",
    "etc/pki/tls/certs/ca-bundle.crt": "/etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/cert.pem": "certs/ca-bundle.crt",
    "usr/bin/needs-restarting": "../libexec/dnf-utils-3",
}
CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
MODES = {
    "etc/sudoers.d": 0o750,
    "etc/sudoers.d/90-cloud-init-users": 0o440,
    "etc/ssh/sshd_config": 0o600,
    "root": 0o550,
}


def make_amazon(system: str, root: Path, public_key: str, trusted: str, owned: dict[str, list[str]]) -> set[str]:
    """Turns the Debian root `root` into the stand-in of `system` (`al2` | `al2023`).

    `owned`: Debian package → its paths. `public_key`: the armoured key that signs the repository's packages. `trusted`: a root certificate
    (PEM) that is trusted beside all others. Returns the paths laid down.
    """
    _remove_debian(root, owned)
    laid = {path for tree in ("common", system) for path in copy_tree(FILES / tree, root)}
    _directories_and_links(system, root)
    key = root / f"etc/pki/rpm-gpg/RPM-GPG-KEY-amazon-linux-{'2' if system == 'al2' else '2023'}"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text(public_key)
    with (root / CA_BUNDLE).open("a") as bundle:
        bundle.write(trusted)
    _users(root)
    set_modes(root)
    _needs_restarting_in_a_container(root)
    if system == "al2":
        old.age(root)
        old.add_generator(root)
    return laid | {f"/{key.relative_to(root)}"}


def install(root: Path, packages: list[Path]) -> None:
    """Installs `packages` (RPM files) in `root` as rpm does, their dependencies checked; then sets which services start."""
    inside = root / "var/tmp/standin"
    inside.mkdir()
    for package in packages:
        shutil.copy(package, inside)
    run(
        [
            "chroot",
            root,
            "bash",
            "-c",
            "rpm --import /etc/pki/rpm-gpg/* && rpm -U --replacefiles /var/tmp/standin/*.rpm",
        ],
        timeout=300,
    )
    remove_tree(inside)
    _services(root)


def copy_tree(tree: Path, root: Path) -> set[str]:
    """Copies a recipe's files over `root`, each in place of what is there: owner root, modes by the execute bit only (as git keeps it).

    Returns their absolute paths in the root.
    """
    laid = set()
    for source in sorted(tree.rglob("*")):
        target = root / source.relative_to(tree)
        if source.is_dir() and not source.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            continue
        lay(source, target)
        laid.add(f"/{target.relative_to(root)}")
    return laid


def lay(source: Path, target: Path) -> None:
    """Copies one of a recipe's files over what is there."""
    _delete(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not source.is_symlink():
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def _delete(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        remove_tree(path)


def _remove_debian(root: Path, owned: dict[str, list[str]]) -> None:
    for package in HIDDEN_PACKAGES:
        for name in owned.get(package, []):
            path = root / name.lstrip("/")
            if not path.is_dir():  # a directory may be shared, and so may a link to one (/bin)
                path.unlink(missing_ok=True)
    for name in DEBIAN_ONLY:
        _delete(root / name)
    for unit in DEBIAN_UNITS:
        _delete(root / "usr/lib/systemd/system" / unit)
    for path in [*(root / "etc/ssh").glob("ssh_host_*"), *root.glob(UNMET)]:
        path.unlink()


def _directories_and_links(system: str, root: Path) -> None:
    folders = (
        "etc/systemd/system etc/logrotate.d etc/sysctl.d etc/sudoers.d var/lib/logrotate var/spool/mail etc/amazon"
    )
    for folder in folders.split():
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    for name in ("etc/machine-id", "etc/resolv.conf", "etc/motd"):
        _delete(root / name)
        (root / name).touch()
    (root / "etc/hostname").write_text("localhost\n")
    if system == "al2":  # the journal is volatile; one file configures yum and what stands in for it
        _delete(root / "var/log/journal")
        (root / "etc/dnf/dnf.conf").symlink_to("../yum.conf")


def _users(root: Path) -> None:
    inside = ["chroot", str(root)]
    script = f"""
        set -e
        groupmod -n nobody nogroup
        groupadd -r ssh_keys; groupadd -r wheel
        for group in sudo staff operator voice backup irc src; do groupdel $group 2>/dev/null || true; done
        for user in games news uucp proxy www-data backup list irc _apt man; do userdel $user 2>/dev/null || true; done
        {ADD_DEFAULT_USER}
        passwd -l root >/dev/null; chage -M 99999 -m 0 ec2-user
        sed -i 's#/usr/sbin/nologin#/sbin/nologin#' /etc/passwd
    """
    run([*inside, "/bin/bash", "-c", script], timeout=60)


def set_modes(root: Path) -> None:
    for name, mode in MODES.items():
        if (root / name).exists():
            (root / name).chmod(mode)


def _services(root: Path) -> None:
    run(["chroot", str(root), "systemctl", "preset-all"], timeout=60)
    mask_units(root)


def mask_units(root: Path) -> None:
    """Takes out the units that do no good in a container."""
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def _needs_restarting_in_a_container(root: Path) -> None:
    """Corrects assumptions of needs-restarting that fail in a container; without this it never finds anything.

    It takes the time of /proc/1 for the boot and adds a process' start ticks to it; those count from the kernel's boot (/proc/stat).
    It takes any mapping of a device with major number 0 (so all of overlayfs) for no regular file: those without a file have inode 0.
    """
    plugin = root / "usr/lib/python3/dist-packages/dnf-plugins/needs_restarting.py"
    text = plugin.read_text()
    kernel = "next(int(line.split()[1]) for line in open('/proc/stat') if line.startswith('btime '))"
    first = "int(open('/proc/1/stat').read().rsplit(')', 1)[1].split()[19]) // os.sysconf('SC_CLK_TCK')"
    corrections = {
        "return int(os.stat('/proc/1').st_mtime)": f"return {kernel} + {first}",
        "return self.boot_time + secs_after_boot": f"return {kernel} + secs_after_boot",
        "if line.find('00:') >= 0:": "if line.split()[4] == '0':",
    }
    for wrong, right in corrections.items():
        if wrong not in text:
            hint = "review this function of lab/standin/amazon.py"
            raise LabError(f"{plugin}: not the release of dnf-plugins-core that is corrected here ({wrong})", hint=hint)
        text = text.replace(wrong, right)
    plugin.write_text(text)
