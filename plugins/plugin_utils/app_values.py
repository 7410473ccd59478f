# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""The role app_runtime's variables about values: what is wrong with them, and the program that fetches them on the host."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = (
    "app_configuration",
    "app_sources",
    "app_units",
    "host_lock",
    "http_probe",
    "release_store",
    "value_store",
)
"""The module_utils that the host keeps: app_configuration and what it imports."""
PACKAGE = "ansible_collections/ecommerce/fleet/plugins/module_utils"
SOURCES = Path(__file__).resolve().parents[1] / "module_utils"

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
SECRET = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+|[A-Za-z0-9/_+=.@-]{1,512}"
)
PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})")
APPLICATION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
CREDENTIALS_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]+@")
RESERVED = ("PORT", "CREDENTIALS_DIRECTORY")
SHORTEST_INTERVAL = 60
CONNECTIONS: dict[str, dict[str, type]] = {
    "app_runtime_redis": {"host": str, "port": int, "tls": bool, "database": int, "ttl_seconds": int},
    "app_runtime_mysql": {
        "host": str,
        "port": int,
        "name": str,
        "user": str,
        "pool_size": int,
        "connect_timeout_seconds": int,
    },
}


def program(library: str) -> list[dict[str, str]]:
    """The files of the program below `library`, as the module app_release takes them."""
    return [
        {"path": f"{library}/{PACKAGE}/{name}.py", "content": (SOURCES / f"{name}.py").read_text(encoding="utf-8")}
        for name in PROGRAM
    ]


def faults(variables: dict[str, Any]) -> list[str]:
    """One sentence per fault in the role's variables (by name). None says a value that may be a secret."""
    found = [*_parameters_path(variables["app_runtime_parameters_path"])]
    found += _secrets(variables["app_runtime_secrets"])
    found += _environment(variables["app_runtime_environment"], variables["app_runtime_secrets"])
    for name, keys in CONNECTIONS.items():
        found += _connection(name, variables[name], keys)
    if variables["app_runtime_redis"] and not variables["app_runtime_redis"].get("host"):
        found.append("app_runtime_redis has no host; it needs one.")
    interval = variables["app_runtime_rotation_interval_seconds"]
    if int(interval) < SHORTEST_INTERVAL:
        found.append(f"app_runtime_rotation_interval_seconds is {interval}; it takes {SHORTEST_INTERVAL} or more.")
    delay = variables["app_runtime_rotation_delay_seconds"]
    if int(delay) < 0:
        found.append(f"app_runtime_rotation_delay_seconds is {delay}; it takes 0 or more.")
    application = variables["app_runtime_python_application"]
    if not APPLICATION.fullmatch(application):
        found.append(f"app_runtime_python_application is '{application}'; it takes module:object, such as app:app.")
    return found


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
        if variable and (not VARIABLE.fullmatch(variable) or variable in RESERVED):
            yield (
                f"{where}.environment is '{variable}'; it takes upper-case letters, digits and _, "
                f"and not {' or '.join(RESERVED)}."
            )
        file = secret.get("file")
        if file and not FILE.fullmatch(file):
            yield f"{where}.file is '{file}'; it takes a file name of letters, digits and . _ -, 64 at most."
    for key in ("environment", "file"):
        names = Counter(secret[key] for secret in secrets if secret.get(key))
        yield from (f"app_runtime_secrets sets the {key} {name} {n} times." for name, n in names.items() if n > 1)


def _environment(environment: dict[str, Any], secrets: list[dict[str, Any]]) -> Iterator[str]:
    fetched = {secret.get("environment") for secret in secrets}
    for name, value in environment.items():
        if CREDENTIALS_IN_ADDRESS.search(str(value)):
            yield f"app_runtime_environment.{name} is an address with a password in it; give it by app_runtime_secrets."
        if name in fetched:
            yield f"app_runtime_environment.{name} is also set by app_runtime_secrets; one of them is enough."


def _connection(name: str, given: dict[str, Any], keys: dict[str, type]) -> Iterator[str]:
    for key, value in given.items():
        if key not in keys:
            secret = " A password is given by app_runtime_secrets." if "pass" in key.lower() else ""
            yield f"{name}.{key} is not known; {name} takes {', '.join(keys)}.{secret}"
        elif key == "host" and not HOST.fullmatch(str(value)):
            yield f"{name}.host is not a host name or an address alone; it takes one without scheme, user, password and port."
        elif keys[key] is int and not (str(value).isdigit() and not isinstance(value, bool)):
            yield f"{name}.{key} is '{value}'; it takes a whole number."
        elif keys[key] is bool and not isinstance(value, bool):
            yield f"{name}.{key} is '{value}'; it takes true or false."
