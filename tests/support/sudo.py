"""The real visudo and cvtsudoers (Debian's package sudo): what they accept, what a policy means to one user."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Person(NamedTuple):
    name: str
    uid: int
    groups: tuple[str, ...]
    gids: tuple[int, ...]


def program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"there is no {name}: scripts/setup installs the package sudo")
    return path


def checked(path: Path | str, text: str | None = None) -> tuple[int, str]:
    """(exit code, output) of visudo for a file; for the text if the path is '-'."""
    argv = [program("visudo"), "-cf", str(path)]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=10)
    return done.returncode, done.stdout + done.stderr


def complaint(text: str) -> str:
    """What visudo has against the text; '' if it accepts it."""
    code, output = checked("-", text)
    return "" if code == 0 else output


def policy(text: str) -> dict[str, Any]:
    """The text as cvtsudoers reads it."""
    argv = [program("cvtsudoers"), "-c", "/dev/null", "-f", "json", "-"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True, timeout=10)
    # In sudo 1.9.13 CWD and its like lack their braces.
    found: dict[str, Any] = json.loads(re.sub(r'("(runcwd|runchroot|role|type)": "[^"]*")', r"{ \1 }", done.stdout))
    return found


def is_meant(who: Person, members: list[dict[str, Any]], aliases: dict[str, Any]) -> bool | None:
    """By the last member that is about the person, as sudo goes through its lists."""
    for member in reversed(members):
        kind, value = next((kind, value) for kind, value in member.items() if kind != "negated")
        found = {
            "username": lambda value: value in ("ALL", who.name),
            "userid": lambda value: value == who.uid,
            "usergroup": lambda value: value in who.groups,
            "usergid": lambda value: value in who.gids,
            "useralias": lambda value: is_meant(who, aliases[value], aliases),
        }[kind](value)
        if found is not None and (found or kind == "useralias"):
            return bool(found) != bool(member.get("negated"))
    return None


def rules(read: dict[str, Any], who: Person) -> list[tuple[Any, ...]]:
    """What the person may run, in order: hosts, Runas lists, whether a password is asked for, command."""
    aliases = read.get("User_Aliases", {})
    return [
        (spec["Host_List"], part.get("runasusers"), part.get("runasgroups"), asks(part), command)
        for spec in read.get("User_Specs", [])
        if is_meant(who, spec["User_List"], aliases)
        for part in spec["Cmnd_Specs"]
        for command in part["Commands"]
    ]


def asks(part: dict[str, Any]) -> bool | None:
    """By the last tag; None without one. (cvtsudoers merges commands of equal tags and drops what else they have: it can't be compared.)"""
    found = {name: value for option in part.get("Options", []) for name, value in option.items()}
    return found.get("authenticate")


def defaults(read: dict[str, Any], who: Person) -> list[tuple[str, str, Any]]:
    """(what they are bound to but users, option, value) of the Defaults for the person, in order."""
    aliases = read.get("User_Aliases", {})
    found = []
    for entry in read.get("Defaults", []):
        binding = entry.get("Binding", [])
        by_user = any(key.startswith("user") for member in binding for key in member)
        if not by_user or is_meant(who, binding, aliases):
            bound = "" if by_user else json.dumps(binding)
            found += [(bound, name, str(value)) for item in entry["Options"] for name, value in pairs(item)]
    return found


def pairs(option: dict[str, Any]) -> list[tuple[str, Any]]:
    """A setting of a list is {operation, name: [values]}."""
    return [(name, (option.get("operation"), value)) for name, value in option.items() if name != "operation"]
