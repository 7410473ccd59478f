"""What a container can not show: machines of files with a kernel, audit, boot loader, mounts and systemd of their own.

SIMULATED: type → how a machine is made on which a control of this type fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.hardening.machine import Machine

State = dict[str, Any]
ENTRY = "title Linux {0}\nversion {0}\nlinux /boot/vmlinuz-{0}\ninitrd /boot/initramfs-{0}.img\noptions root=UUID=1 ro {1}\n"


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def contrary(value: Any, accept: dict[str, Any] | None) -> str:
    """A value that the control does not accept."""
    conditions = accept or {}
    if "at_most" in conditions:
        return str(conditions["at_most"] + 1)
    if "at_least" in conditions:
        return str(conditions["at_least"] - 1)
    text = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    if text in ("yes", "no"):
        return "no" if text == "yes" else "yes"
    if text.lstrip("-").isdigit():
        return "1" if text == "0" else "0"
    return "contrary"


def kernel_audit(machine: Machine, enabled: int = 1) -> list[str]:
    """auditctl with rules of its own."""
    rules: list[str] = []

    def load(argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        rules.append(" ".join(argv[1:]))
        return 0, ""

    (machine.root / "etc/audit/rules.d").mkdir(parents=True)
    machine.answers["auditctl"] = load
    machine.answers["auditctl -l"] = lambda _argv, _stdin: (0, "\n".join(rules) or "No rules")
    machine.answers["auditctl -s"] = (0, f"enabled {enabled}\nfailure 1")
    return rules


def kernel_modules(machine: Machine, *names: str) -> None:
    """A kernel with the modules loaded, and modprobe."""
    machine.put("/proc/modules", "".join(f"{name.replace('-', '_')} 81920 0 - Live 0x0\n" for name in names))

    def unload(argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        kept = [
            line for line in machine.text("/proc/modules").splitlines() if line.split()[0] != argv[2].replace("-", "_")
        ]
        machine.put("/proc/modules", "".join(line + "\n" for line in kept))
        return 0, ""

    machine.answers["modprobe -r"] = unload


def kernel_mounts(machine: Machine, *lines: str) -> None:
    """A kernel with these mounts, and mount(8), which changes the options of one of them to those that it is told."""
    machine.put("/proc/self/mounts", "/dev/a / xfs rw 0 0\n" + "".join(lines))

    def remount(argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        words, path = argv[2].split(","), argv[3]
        assert words[:2] == ["remount", "bind"]
        rows = [line.split() for line in machine.text("/proc/self/mounts").splitlines()]
        for row in rows:
            if row[1] == path:
                own = [word for word in row[3].split(",") if word == "rw" or "=" in word]
                row[3] = ",".join([*own, *words[2:]])
        machine.put("/proc/self/mounts", "".join(" ".join(row) + "\n" for row in rows))
        return 0, ""

    machine.answers["mount -o"] = remount


class Grubby:
    """The boot loader's entries as files (Boot Loader Specification), and what grubby's manual says it does to them."""

    def __init__(self, machine: Machine, **arguments: str) -> None:
        self.machine = machine
        for kernel, line in arguments.items():
            machine.put(f"/boot/loader/entries/{kernel}.conf", ENTRY.format(kernel, line))
        machine.answers["grubby --info=ALL"] = self.info
        machine.answers["grubby --update-kernel=ALL"] = self.update

    def options(self) -> dict[str, list[str]]:
        """Kernel → the words of its `options` line."""
        found = {}
        for path in self.machine.system.glob("/boot/loader/entries/*.conf"):
            entry = dict(line.split(" ", 1) for line in self.machine.text(path).splitlines())
            found[entry["version"]] = entry["options"].split()
        return found

    def info(self, _argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        blocks = []
        for number, (kernel, words) in enumerate(self.options().items()):
            arguments = " ".join(word for word in words if not word.startswith("root="))
            blocks.append(
                f'index={number}\nkernel="/boot/vmlinuz-{kernel}"\nargs="{arguments}"\nroot="UUID=1"\n'
                f'initrd="/boot/initramfs-{kernel}.img"\ntitle="Linux {kernel}"\nid="{kernel}"\n'
            )
        return 0, "".join(blocks)

    def update(self, argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        option, _equals, value = argv[2].partition("=")
        assert option in ("--args", "--remove-args")
        names = [word.partition("=")[0] for word in value.split()]
        for kernel, words in self.options().items():
            kept = [word for word in words if word.partition("=")[0] not in names]
            line = " ".join(kept + (value.split() if option == "--args" else []))
            path = f"/boot/loader/entries/{kernel}.conf"
            self.machine.put(path, re.sub(r"(?m)^options .*$", f"options {line}", self.machine.text(path)))
        return 0, ""


class Systemd:
    """systemctl over units that are installed, enabled or not and running or not. A unit that is masked neither starts nor is enabled."""

    def __init__(self, machine: Machine, *names: str, on: bool) -> None:
        self.units = {name: {"file": "enabled" if on else "disabled", "active": on} for name in names}
        machine.answers["systemctl show"] = self.show
        for verb in ("unmask", "enable", "disable", "start", "stop", "mask"):
            machine.answers[f"systemctl {verb}"] = machine.answers[f"systemctl --no-reload {verb}"] = self.change

    def show(self, argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        blocks = []
        for name in argv[4:]:
            unit = self.units.get(name, {"file": "", "active": False})
            blocks.append(
                f"LoadState={'loaded' if name in self.units else 'not-found'}\nUnitFileState={unit['file']}\n"
                f"ActiveState={'active' if unit['active'] else 'inactive'}\nConditionResult=yes\nConditionTimestampMonotonic=1\n"
            )
        return 0, "\n".join(blocks)

    def change(self, argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        verb, name = argv[-2:]
        unit = self.units[name]
        if unit["file"] == "masked" and verb in ("enable", "start"):
            return 1, f"Unit {name} is masked."
        if verb in ("start", "stop"):
            unit["active"] = verb == "start"
        else:
            unit["file"] = {"unmask": "disabled", "enable": "enabled", "disable": "disabled", "mask": "masked"}[verb]
        return 0, ""


def _sysctl(machine: Machine, state: State) -> None:
    value = contrary(state["value"], state.get("accept"))
    machine.put(f"/proc/sys/{state['name'].replace('.', '/')}", f"{value}\n")
    machine.put("/usr/lib/sysctl.d/50-default.conf", f"{state['name']} = {value}\n")


def _audit_rule(machine: Machine, state: State) -> None:
    """With what the rules are about, and a program with a set-id bit."""
    kernel_audit(machine)
    machine.put("/proc/self/mounts", "/dev/a / xfs rw 0 0\n")
    machine.put("/usr/bin/su", "", 0o4755)
    for rule in listed(state["rules"]):
        for path in re.findall(r"(?:^-w |-F path=)(/\S+)", rule):
            (machine.root / path.strip("/")).parent.mkdir(parents=True, exist_ok=True)
            if not (machine.root / path.strip("/")).exists():
                machine.put(path, "", 0o755)


def _mount(machine: Machine, state: State) -> None:
    kernel_mounts(machine, f"/dev/b {state['path']} xfs rw 0 0\n")
    machine.put("/etc/fstab", f"UUID=2 {state['path']} xfs defaults 0 0\n")


def _boot_argument(machine: Machine, state: State) -> None:
    wrong = "0" if "value" in state else "1"
    good = f"{state['argument']}={state['value']}" if "value" in state else "quiet"
    Grubby(machine, **{"6.1.1": f"quiet {state['argument']}={wrong}", "6.1.2": good})


def _service(machine: Machine, state: State) -> None:
    names = [name if "." in name else f"{name}.service" for name in listed(state["name"])]
    Systemd(machine, *names, on=not state["enabled"])


SIMULATED: dict[str, Callable[[Machine, State], None]] = {
    "audit_rule": _audit_rule,
    "boot_argument": _boot_argument,
    "kernel_module": lambda machine, state: kernel_modules(machine, state["name"]),
    "mount": _mount,
    "service": _service,
    "sysctl": _sysctl,
}
