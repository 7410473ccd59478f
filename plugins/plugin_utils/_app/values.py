# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role app_runtime's variables about values: their rules, and the program that fetches them on the host."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ...module_utils._app.environment import NAME, render, taken, unfit, value_of
from ...module_utils._app.release_parameter import S3_URL, SHA256, VERSION
from ..host_program import files
from . import command

PROGRAMS = {"configuration": "_app/configuration", "release": "_app/boot"}
"""What the host runs by itself: the module_util that is the program. For its values; for its release at boot."""

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
SECRET = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+|[A-Za-z0-9/_+=.@-]{1,512}"
)
PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})")
APPLICATION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
CREDENTIALS_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]+@")
SHORTEST_INTERVAL = 60
SHORTEST_WAIT, LONGEST_WAIT = 10, 3600
FIRST_PORT, LAST_PORT = 1024, 65535
"""What a user's process can have."""
RELEASE = {
    "artifact_url": (
        re.compile(rf"{S3_URL}|https://[^/]+/.+|file:///.+"),
        "s3://bucket/key, https://host/path or file:///path",
    ),
    "artifact_sha256": (re.compile(SHA256), "64 hexadecimal digits in lower case"),
    "version": (re.compile(VERSION), "letters, digits and . + _ -, 64 at most"),
    "name": (
        re.compile(r"[a-z][a-z0-9_-]{0,31}"),
        "a lower-case letter, then lower-case letters, digits, _ and -, 32 at most",
    ),
}
"""Variable → its form, what it takes."""
SYSTEMS_OWN = {
    "nodejs": (re.compile(r"/usr/bin/node(js)?(-\d+)?"), "node"),
    "python": (re.compile(r"/usr/bin/python[\d.]*"), "python3"),
    "java": (re.compile(r"/usr/bin/java"), "java"),
}
"""Kind → the system's programs for it, the name of a runtime's."""
CONNECTIONS: dict[str, dict[str, type]] = {
    "redis": {"host": str, "port": int, "tls": bool, "database": int, "ttl_seconds": int},
    "mysql": {
        "host": str,
        "port": int,
        "name": str,
        "user": str,
        "pool_size": int,
        "connect_timeout_seconds": int,
    },
}


def program(library: str, name: str = "configuration") -> list[dict[str, str]]:
    """The files of one of PROGRAMS below `library`, as the module app_release takes them: it and everything that it imports."""
    return files(library, PROGRAMS[name])


def violations(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that is not allowed; none repeats what may be a secret. `values`: variables without their prefix."""
    found = [*_release(values), *_runtime(values), *_ports(values), *_parameters_path(values["parameters_path"])]
    found += _release_parameter(values)
    found += command.violations("app_runtime_command", values["command"])
    found += _secrets(values["secrets"])
    found += _environment(values["environment"], values["secrets"])
    for name, keys in CONNECTIONS.items():
        found += _connection(f"app_runtime_{name}", values[name], keys)
    if values["redis"] and not values["redis"].get("host"):
        found.append("app_runtime_redis has no host; it needs one.")
    interval = values["rotation_interval_seconds"]
    if int(interval) < SHORTEST_INTERVAL:
        found.append(f"app_runtime_rotation_interval_seconds is {interval}; it takes {SHORTEST_INTERVAL} or more.")
    delay = values["rotation_delay_seconds"]
    if int(delay) < 0:
        found.append(f"app_runtime_rotation_delay_seconds is {delay}; it takes 0 or more.")
    application = values["python_application"]
    if not APPLICATION.fullmatch(application):
        found.append(f"app_runtime_python_application is '{application}'; it takes module:object, such as app:app.")
    return found


def _release(values: Mapping[str, Any]) -> Iterator[str]:
    for name, (form, takes) in RELEASE.items():
        if not form.fullmatch(str(values[name])):
            yield f"app_runtime_{name} is '{values[name]}'; it takes {takes}."


def _runtime(values: Mapping[str, Any]) -> Iterator[str]:
    runtime, kind = values["runtime"], values["kind"]
    for name in ("url", "sha256") if runtime else ():
        form, takes = RELEASE[f"artifact_{name}"]
        if name not in runtime:
            yield f"app_runtime_runtime has no {name}; it takes url and sha256 together, or nothing."
        elif not form.fullmatch(str(runtime[name])):
            yield f"app_runtime_runtime.{name} is '{runtime[name]}'; it takes {takes}."
    for name in sorted(set(runtime) - {"url", "sha256"}, key=str):
        yield f"app_runtime_runtime.{name} is not known; it takes url and sha256."
    if not runtime and kind == "nodejs" and values["os_release"] == "2":
        yield (
            "app_runtime_kind is nodejs and app_runtime_runtime is empty; Amazon Linux 2 has no package of Node.js, so it takes "
            "{url, sha256} of an archive of Node.js that was built for glibc 2.26 or older; Node.js's own need 2.28, "
            "the linux-x64-glibc-217 ones of its unofficial-builds project do not."
        )
    own, brought = SYSTEMS_OWN[kind]
    program = (command.words(values["command"]) or [""])[0]
    if runtime and own.fullmatch(program):
        yield (
            f"app_runtime_command begins with {program}, the system's own program, but app_runtime_runtime brings another; "
            f"write {brought} without a path for that one."
        )


def _ports(values: Mapping[str, Any]) -> Iterator[str]:
    instances, base = int(values["instances"]), int(values["port_base"])
    if instances < 1 or base < FIRST_PORT or base + instances > LAST_PORT + 1:
        yield (
            f"app_runtime_instances is {instances} and app_runtime_port_base is {base}; at least one instance is needed, and its ports "
            f"must be between {FIRST_PORT} and {LAST_PORT}."
        )


def _release_parameter(values: Mapping[str, Any]) -> Iterator[str]:
    name, seconds = values["release_parameter"], int(values["release_wait_seconds"])
    if name and not PATH.fullmatch(name):
        yield f"app_runtime_release_parameter is '{name}'; it takes the whole name of a parameter, such as /fleet/shop/prod/release."
    if not SHORTEST_WAIT <= seconds <= LONGEST_WAIT:
        yield f"app_runtime_release_wait_seconds is {seconds}; allowed are {SHORTEST_WAIT} to {LONGEST_WAIT} seconds."


def _parameters_path(path: str) -> Iterator[str]:
    if path and (not PATH.fullmatch(path) or path.startswith(("/aws", "/ssm"))):
        yield f"app_runtime_parameters_path is '{path}'; it takes a path such as /fleet/shop/prod/config, not below /aws or /ssm."


def _secrets(secrets: list[dict[str, Any]]) -> Iterator[str]:
    for number, secret in enumerate(secrets):
        where = f"app_runtime_secrets[{number}]"
        name = str(secret.get("name", ""))
        if not SECRET.fullmatch(name):
            yield f"{where}.name is '{name}'; it takes the name or the ARN of a secret."
        if bool(secret.get("environment")) == bool(secret.get("file")):
            yield f"{where} ({name}) needs exactly one of environment and file."
        variable = secret.get("environment")
        if variable and not VARIABLE.fullmatch(variable):
            yield f"{where}.environment is '{variable}'; it takes upper-case letters, digits and _."
        elif variable and taken(variable):
            yield f"{where}.environment is '{variable}', which is set by {taken(variable)}; it takes another name."
        file = secret.get("file")
        if file and not FILE.fullmatch(file):
            yield f"{where}.file is '{file}'; it takes a file name of letters, digits and . _ -, 64 at most."
    for key in ("environment", "file"):
        names = Counter(secret[key] for secret in secrets if secret.get(key))
        yield from (f"app_runtime_secrets sets the {key} {name} {n} times." for name, n in names.items() if n > 1)


def environment_file(environment: Mapping[str, Any]) -> str:
    """The lines of systemd's EnvironmentFile=; true and false as YAML writes them. `environment`: without violations."""
    return render({name: value_of(_text(value)) for name, value in environment.items()})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _environment(environment: dict[Any, Any], secrets: list[dict[str, Any]]) -> Iterator[str]:
    fetched = {secret.get("environment") for secret in secrets}
    for name, value in environment.items():
        where = f"app_runtime_environment.{name}"
        if not isinstance(name, str):
            yield f"app_runtime_environment has {_text(name)} for a name, as YAML reads it; put the name in quotes."
        elif not NAME.match(name):
            yield f"app_runtime_environment has the name {name!r}; a name has letters, digits and _ and does not begin with a digit."
        elif taken(name):
            yield f"{where} is set by {taken(name)}; it takes another name."
        elif name in fetched:
            yield f"{where} is also set by app_runtime_secrets; one of them is enough."
        yield from _unfit(where, value)
        if CREDENTIALS_IN_ADDRESS.search(str(value)):
            yield f"{where} is an address with a password in it; give it by app_runtime_secrets."


def _unfit(where: str, value: Any) -> Iterator[str]:
    """Why a process would not get the value as it was written."""
    if value is None:
        yield f"{where} is null; it takes a text. Leave it out, or write '' for an empty one."
    elif not isinstance(value, str | int | float):
        yield f"{where} is a {type(value).__name__}; it takes a text, a number, true or false."
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where} is {value}, as YAML reads it; put it in quotes."
    elif character := unfit(value_of(_text(value))):
        yield f"{where} has {character}, which no environment variable can have; give it as a file of app_runtime_secrets."


def _connection(name: str, given: dict[str, Any], keys: dict[str, type]) -> Iterator[str]:
    for key, value in given.items():
        if key not in keys:
            secret = " A password is given by app_runtime_secrets." if "pass" in key.lower() else ""
            yield f"{name}.{key} is not known; {name} takes {', '.join(keys)}.{secret}"
        elif keys[key] is str and (isinstance(value, bool) or any(_unfit(key, value))):
            yield f"{name}.{key} is not a text without control characters, as YAML reads it; put it in quotes."
        elif key == "host" and not HOST.fullmatch(str(value)):
            yield f"{name}.host is not a host name or an address alone; it takes one without scheme, user, password and port."
        elif keys[key] is int and not (str(value).isdigit() and not isinstance(value, bool)):
            yield f"{name}.{key} is '{value}'; it takes a whole number."
        elif keys[key] is bool and not isinstance(value, bool):
            yield f"{name}.{key} is '{value}'; it takes true or false."
