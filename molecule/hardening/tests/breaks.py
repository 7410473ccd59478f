"""How each control is broken on a machine: derived from its type and state, or by its own recipe (``test`` in the register).

A recipe is a shell script run by root on the machine; with ``outside`` in the register it runs here, with the machine's INSTANCE_ID. What
enforcing can't remediate, because a person or another system has to, has a ``repair`` too.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.mounts import unit_name
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control

from tests.support.hardening.simulated import contrary, listed

Recipe = Callable[[dict[str, Any]], str]


MEMORY = ("/tmp", "/dev/shm")  # noqa: S108 - the mount points themselves
"""File systems in memory on every machine; the others are parts of the disk that are mounted on themselves."""


class NoRecipeError(Exception):
    """A control that nobody says how to break: it would be in the register untested."""


def recipe(control: Control, release: str) -> str | None:
    """The script that breaks the control on a machine of this release; None where it is tested by hand or not part of it."""
    if "by_hand" in control.test or release not in control.applies.get("os", [release]):
        return None
    if "break" in control.test:
        return str(control.test["break"])
    state = {**control.state, **control.per_os.get(release, {}), **control.test.get("state", {})}
    try:
        return RECIPES[control.type](state)
    except KeyError as error:
        raise NoRecipeError(
            f"{control.id}: nothing says how a {control.type} of this state is broken; give it a test.break"
        ) from error


def _file(state: dict[str, Any]) -> str:
    paths = " ".join(listed(state["path"]))
    if state.get("absent"):
        return f"touch {paths}"
    if "content" in state:
        return f"echo broken >{paths}"
    return f'for f in {paths}; do [ -e "$f" ] && chmod o+rwx "$f"; done; true'


def _setting(state: dict[str, Any]) -> str:
    path = state.get("write") or listed(state["files"])[-1]
    key, separator = state["key"], state.get("separator", "=")
    line = f"{key}{separator}{contrary(state['value'], state.get('accept'))}"
    remove = f"sed -i -E '/^[[:space:]]*{key}([[:space:]]|=)/d' {path} 2>/dev/null"
    if "section" not in state:
        return f"{remove}; echo {shlex.quote(line)} >>{path}"
    header = f"[{state['section']}]"
    return (
        f"mkdir -p $(dirname {path}); touch {path}; {remove}; grep -qxF {shlex.quote(header)} {path} || "
        f"echo {shlex.quote(header)} >>{path}; sed -i {shlex.quote(f'/^{chr(92)}{header[:-1]}{chr(92)}]/a {line}')} {path}"
    )


def _lines(state: dict[str, Any]) -> str:
    scripts = [f"sed -i -E '\\#{item['pattern']}#d' $f" for item in state["present"]]
    return f"for f in {' '.join(listed(state['path']))}; do [ ! -e $f ] || {{ {'; '.join(scripts)}; }}; done"


def _sysctl(state: dict[str, Any]) -> str:
    """In the file that is read last; the live value too where this machine lets it."""
    name, value = state["name"], contrary(state["value"], state.get("accept"))
    pattern = name.replace(".", "\\.")
    path = "/etc/sysctl.d/99-zz-fleet-hardening.conf"
    return f"sed -i '/^{pattern} *=/d' {path}; echo '{name} = {value}' >>{path}; sysctl -q -w {name}={value} 2>/dev/null; true"


def _module(state: dict[str, Any]) -> str:
    return f"sed -i -E '/ {state['name']}( |$)/d' /etc/modprobe.d/*.conf"


def _sshd(state: dict[str, Any]) -> str:
    """Into the place that sshd reads first."""
    line = f"{state['option']} {state.get('contrary') or contrary(state['value'], state.get('accept'))}"
    drop_in, main = "/etc/ssh/sshd_config.d/00-fleet-hardening.conf", "/etc/ssh/sshd_config"
    return (
        f"f={main}; [ -e {drop_in} ] && f={drop_in}; "
        f"sed -i -E '/^(#?){state['option']} /Id' $f; sed -i {shlex.quote('1i ' + line)} $f"
    )


def _sudo_default(state: dict[str, Any]) -> str:
    option, path = state["option"], "/etc/sudoers.d/zz_fleet_hardening"
    if state["value"] is True:
        line = f"Defaults !{option}"
    else:
        line = f"Defaults {option}={state.get('contrary') or contrary(state['value'], state.get('accept'))}"
    return f"sed -i '/{option}/d' {path}; echo {shlex.quote(line)} >>{path}"


def _sudo_rule(state: dict[str, Any]) -> str:
    return f"echo 'Defaults {state['option']}' >/etc/sudoers.d/10_broken; chmod 0440 /etc/sudoers.d/10_broken"


def _pam(state: dict[str, Any]) -> str:
    scripts = []
    for service in listed(state["service"]):
        path = f"/etc/pam.d/{service}"
        entry = f"/^-?{state['type']}\\s.*{state['module'].replace('.', chr(92) + '.')}/"
        if "add" in state:
            scripts.append(f"sed -i -E '{entry}d' {path}")
        for word in listed(state.get("without", [])):
            scripts.append(f"sed -i -E '{entry}s/$/ {word}/' {path}")
        if "add" not in state:
            for word in listed(state.get("arguments", [])):
                scripts.append(f"sed -i -E '{entry}s/ {word}//' {path}")
    return "; ".join(scripts)


def _aging(state: dict[str, Any]) -> str:
    option = {"maximum_days": "-M", "minimum_days": "-m", "warn_days": "-W", "inactive_days": "-I"}[state["field"]]
    days = state["days"] + 1 if state["at_most"] else state["days"] - 1
    user = "pw-" + state["field"].replace("_", "-")
    return f"useradd -M -d / {user} && usermod -p '$6$a$b' {user}; chage {option} {days} {user}"


def _audit_rule(state: dict[str, Any]) -> str:
    rules = " ".join(f"-e {shlex.quote(rule)}" for rule in listed(state["rules"]))
    path = "/etc/audit/rules.d/50-fleet-hardening.rules"
    return f"kept=$(grep -vxF {rules} {path}); printf '%s\\n' \"$kept\" >{path}"


def _mount(state: dict[str, Any]) -> str:
    """The mount as it is now, and wherever the next boot would take it from."""
    path, unit, scripts = state["path"], unit_name(state["path"]), []
    for option in listed(state["options"]):
        scripts.append(
            f"mount -o remount,bind,{option.removeprefix('no')} {path}; sed -i -E '\\#\\s{path}\\s#s/,{option}//' /etc/fstab; "
            f"for f in /usr/lib/systemd/system/{unit} /etc/systemd/system/{unit}.d/*.conf; do "
            f'[ ! -e "$f" ] || sed -i "/^Options=/s/,{option}//" "$f"; done'
        )
    return "; ".join(scripts)


def _partition(state: dict[str, Any]) -> str:
    """Not mounted any more. With the file system around it, it may be gone already."""
    return f"umount -l {state['path']}; true"


def repair(control: Control) -> str | None:
    """What a person or another system would do after the break."""
    if control.type != "partition":
        return control.test.get("repair")
    path = control.state["path"]
    if path in MEMORY:
        return f"mount -t tmpfs -o mode=1777 tmpfs {path}"
    return f"mount --bind {path} {path} && mount --make-private {path}"


def _package(state: dict[str, Any]) -> str:
    """Only its entry in the database counts: it is taken out, or an empty package of that name put in."""
    if state["state"] == "present":
        return f"rpm -e --justdb --nodeps {listed(state['name'])[0]}"
    return f"rpm -i --nodeps --nosignature /root/broken/{listed(state['name'])[0]}-1-1.noarch.rpm"


def _service(state: dict[str, Any]) -> str:
    if state["running"]:
        return "; ".join(f"systemctl disable --now {name}" for name in listed(state["name"]))
    scripts = []
    # systemd starts no socket whose service runs already.
    for name in sorted(listed(state["name"]), key=lambda name: not name.endswith(".socket")):
        unit = name if "." in name else f"{name}.service"
        what = (
            "[Socket]\nListenStream=/run/%n" if unit.endswith(".socket") else "[Service]\nExecStart=/bin/sleep infinity"
        )
        text = f"[Unit]\nDescription=broken on purpose\n{what}\n[Install]\nWantedBy=multi-user.target\n"
        scripts.append(
            f"systemctl unmask {unit} 2>/dev/null; printf {shlex.quote(text.replace('%', '%%'))} >/usr/lib/systemd/system/{unit}; "
            f"systemctl enable --now {unit}"
        )
    return "; ".join(scripts)


RECIPES: dict[str, Recipe] = {
    "audit_rule": _audit_rule,
    "file": _file,
    "setting": _setting,
    "lines": _lines,
    "sysctl": _sysctl,
    "kernel_module": _module,
    "mount": _mount,
    "package": _package,
    "partition": _partition,
    "service": _service,
    "sshd": _sshd,
    "sudo_default": _sudo_default,
    "sudo_rule": _sudo_rule,
    "pam": _pam,
    "password_aging": _aging,
}
