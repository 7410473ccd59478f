# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CloudWatch agent's configuration from the role's variables, and what is wrong with them. Pure functions; control node only.

The agent's own schema accepts misspelled measurements and dimensions and then collects nothing. `violations` is stricter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents import cloudwatch_rules as rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents import re2

Settings = Mapping[str, Any]
"""The role's variables without their prefix: namespace, metrics_interval_seconds, metrics, processes, process_measurements, dimensions,
aggregation_dimensions, log_files, log_groups, log_kinds, log_flush_seconds, statsd, statsd_interval_seconds, emf, xray, otlp."""

LOG_FILE_KEYS = ("path", "kind", "service", "timestamp_format", "multi_line_start_pattern", "newest_only")
_GROUP_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")


def violations(settings: Settings, prefix: str = "cloudwatch_agent_") -> list[str]:
    """Everything that is wrong, one sentence each: the variable, its value and what is allowed. Empty when all is well."""
    checks: Sequence[Iterable[str]] = (
        _interval_violations(settings),
        _metric_violations(settings["metrics"]),
        _process_violations(settings),
        _dimension_violations(settings),
        _group_violations(settings["log_groups"]),
        _kind_violations(settings),
        _log_file_violations(settings),
    )
    return [f"{prefix}{sentence}" for check in checks for sentence in check]


def config(settings: Settings) -> dict[str, Any]:
    """The JSON document for the agent's drop-in folder. `settings` must have no violations."""
    document: dict[str, Any] = {
        "agent": {"metrics_collection_interval": int(settings["metrics_interval_seconds"]), "run_as_user": "root"}
    }
    sections = {"metrics": _metrics(settings), "logs": _logs(settings), "traces": _traces(settings)}
    return document | {name: section for name, section in sections.items() if section}


def stream_name(path: str, newest_only: bool = False) -> str:
    """The log stream of a file: `{instance_id}` and its path, so that no two files share one. A name can't have `*` or `:` in it.

    Of a glob it is the beginning of its files' streams: the agent adds `_` and each file's path with `_` for `/`.
    """
    if _has_glob(path) and not newest_only:
        return "{instance_id}"
    return "{instance_id}" + path.replace("*", "all").replace(":", "_")


def _logs(settings: Settings) -> dict[str, Any]:
    section: dict[str, Any] = {}
    if settings["log_files"]:
        files = [_log_file(entry, settings) for entry in settings["log_files"]]
        section["logs_collected"] = {"files": {"collect_list": files}}
    if boolean(settings["emf"]):
        section["metrics_collected"] = {"emf": {"service_address": rules.EMF_ADDRESS}}
    return section | {"force_flush_interval": int(settings["log_flush_seconds"])} if section else {}


def _traces(settings: Settings) -> dict[str, Any]:
    collected: dict[str, Any] = {}
    if boolean(settings["xray"]):
        collected["xray"] = {
            "bind_address": rules.XRAY_ADDRESS,
            "tcp_proxy": {"bind_address": rules.XRAY_ADDRESS},
        }
    if boolean(settings["otlp"]):
        collected["otlp"] = {"grpc_endpoint": rules.OTLP_GRPC_ADDRESS, "http_endpoint": rules.OTLP_HTTP_ADDRESS}
    return {"traces_collected": collected} if collected else {}


def _log_file(entry: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    group = settings["log_groups"][settings["log_kinds"][entry["kind"]]]
    collected = {
        "file_path": entry["path"],
        "log_group_name": group["name"],
        "log_stream_name": stream_name(entry["path"], _newest_only(entry)),
        "retention_in_days": int(group["retention_days"]),
        "timezone": "UTC",
    }
    if _has_glob(entry["path"]) and not _newest_only(entry):
        # Without it the agent ships what is the newest file at the moment that it looks.
        collected["publish_multi_logs"] = True
    return collected | {key: entry[key] for key in ("timestamp_format", "multi_line_start_pattern") if entry.get(key)}


def _metrics(settings: Settings) -> dict[str, Any]:
    collected: dict[str, Any] = {plugin: dict(table) for plugin, table in settings["metrics"].items()}
    if settings["processes"]:
        collected[rules.PROCSTAT] = [
            {"measurement": list(settings["process_measurements"])} | dict(process) for process in settings["processes"]
        ]
    if boolean(settings["statsd"]):
        collected["statsd"] = {
            "service_address": rules.STATSD_ADDRESS,
            "metrics_aggregation_interval": int(settings["statsd_interval_seconds"]),
        }
    if not collected:
        return {}
    section: dict[str, Any] = {"namespace": settings["namespace"], "metrics_collected": collected}
    if settings["dimensions"]:
        section["append_dimensions"] = {name: f"${{aws:{name}}}" for name in sorted(settings["dimensions"])}
    if settings["aggregation_dimensions"]:
        section["aggregation_dimensions"] = [list(names) for names in settings["aggregation_dimensions"]]
    return section


def _interval_violations(settings: Settings) -> Iterator[str]:
    for name in ("metrics_interval_seconds", "log_flush_seconds", "statsd_interval_seconds"):
        yield from _seconds_violations(name, settings[name])
    namespace = settings["namespace"]
    if not re.fullmatch(r"[^:\s][^:]{0,254}", namespace) or namespace.startswith("AWS/"):
        yield f"namespace is {namespace!r}; allowed: 1 to 255 characters, no colon, not starting with AWS/"


def _seconds_violations(where: str, seconds: Any) -> Iterator[str]:
    # From a command line (-e) a number comes as text.
    if not str(seconds).isdecimal() or not 1 <= int(seconds) <= rules.MAX_INTERVAL_SECONDS:
        yield f"{where} is {seconds!r}; allowed: a whole number from 1 to {rules.MAX_INTERVAL_SECONDS}"


def _metric_violations(metrics: Mapping[str, Any]) -> Iterator[str]:
    for plugin, table in metrics.items():
        where = f"metrics.{plugin}"
        if plugin in rules.OWN_VARIABLE:
            yield f"{where} is not taken here; {rules.OWN_VARIABLE[plugin]}"
            continue
        if plugin not in rules.MEASUREMENTS:
            yield f"{where} is not a plugin; allowed: {_list(set(rules.MEASUREMENTS) - {rules.PROCSTAT})}"
            continue
        if not isinstance(table, Mapping):
            yield f"{where} is {table!r}; allowed: a dictionary with a list `measurement`"
            continue
        yield from _table_violations(where, plugin, table)


def _table_violations(where: str, plugin: str, table: Mapping[str, Any]) -> Iterator[str]:
    allowed = {"measurement", "metrics_collection_interval", *rules.PLUGIN_KEYS.get(plugin, ())}
    allowed |= {"resources"} if plugin in rules.RESOURCES else set()
    yield from (
        f"{where}.{key} is not a setting of {plugin}; allowed: {_list(allowed)}" for key in table if key not in allowed
    )
    if "metrics_collection_interval" in table:
        yield from _seconds_violations(f"{where}.metrics_collection_interval", table["metrics_collection_interval"])
    if "resources" in table and not _texts(table["resources"]):
        yield f"{where}.resources is {table['resources']!r}; allowed: a list of at least one text, ['*'] for all"
    yield from _measurement_violations(f"{where}.measurement", plugin, table.get("measurement"))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _measurement_violations(where: str, plugin: str, measurements: Any) -> Iterator[str]:
    if not isinstance(measurements, list) or not measurements:
        yield f"{where} is {measurements!r}; allowed: a list of at least one of {_list(rules.MEASUREMENTS[plugin])}"
        return
    names = []
    for item in measurements:
        entry = item if isinstance(item, Mapping) else {"name": item}
        name = str(entry.get("name", ""))
        names.append(name.removeprefix(f"{plugin}_"))
        if name not in rules.MEASUREMENTS[plugin] and names[-1] not in rules.MEASUREMENTS[plugin]:
            yield f"{where} has {name!r}; allowed: {_list(rules.MEASUREMENTS[plugin])}"
        unit = entry.get("unit", "None")
        if unit not in rules.UNITS:
            yield f"{where} has {name!r} with unit {unit!r}; allowed: {', '.join(rules.UNITS)}"
        yield from (
            f"{where} has {name!r} with {key!r}; allowed: name, rename, unit"
            for key in entry
            if key not in {"name", "rename", "unit"}
        )
    yield from (
        f"{where} has {name!r} {count} times; allowed: once" for name, count in Counter(names).items() if count > 1
    )


def _process_violations(settings: Settings) -> Iterator[str]:
    for number, process in enumerate(settings["processes"]):
        where = f"processes[{number}]"
        for key in ("exe", "pattern"):
            if process.get(key):
                yield from _pattern_violations(f"{where}.{key}", str(process[key]))
        chosen = [key for key in rules.PROCESS_SELECTORS if process.get(key)]
        if len(chosen) != 1:
            yield f"{where} is {dict(process)}; allowed: exactly one of {_list(rules.PROCESS_SELECTORS)}"
        extra = set(process) - {*rules.PROCESS_SELECTORS, "measurement"}
        if extra:
            yield f"{where} has {_list(extra)}; allowed: {_list((*rules.PROCESS_SELECTORS, 'measurement'))}"
        if "measurement" in process:
            yield from _measurement_violations(f"{where}.measurement", rules.PROCSTAT, process["measurement"])
    if settings["processes"]:
        yield from _measurement_violations("process_measurements", rules.PROCSTAT, settings["process_measurements"])


def _dimension_violations(settings: Settings) -> Iterator[str]:
    for name, count in Counter[str](settings["dimensions"]).items():
        if name not in rules.DIMENSIONS:
            yield f"dimensions has {name!r}; allowed: {_list(rules.DIMENSIONS)}"
        if count > 1:
            yield f"dimensions has {name!r} {count} times; allowed: once"
    seen: list[set[str]] = []
    for names in settings["aggregation_dimensions"]:
        for name in names:
            if name not in settings["dimensions"]:
                yield f"aggregation_dimensions has {name!r}; allowed: {_list(settings['dimensions'])} (cloudwatch_agent_dimensions)"
        if set(names) in seen:
            yield f"aggregation_dimensions has the set {_list(names)} twice; allowed: once"
        seen.append(set(names))


def _group_violations(groups: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    retention: dict[str, int] = {}
    for key, group in groups.items():
        name, days = str(group.get("name", "")), group.get("retention_days")
        if not _GROUP_NAME.fullmatch(name):
            yield f"log_groups.{key}.name is {name!r}; allowed: 1 to 512 of letters, digits and . - _ / #"
        if not isinstance(days, int) or days not in rules.RETENTION_DAYS:
            yield f"log_groups.{key}.retention_days is {days!r}; allowed: {', '.join(map(str, rules.RETENTION_DAYS))}"
        elif retention.setdefault(name, days) != days:
            yield f"log_groups.{key}.retention_days is {days}; allowed: {retention[name]}, as another group with the name {name!r} has"


def _kind_violations(settings: Settings) -> Iterator[str]:
    for kind, key in settings["log_kinds"].items():
        if key not in settings["log_groups"]:
            yield f"log_kinds.{kind} is {key!r}; allowed: {_list(settings['log_groups'])} (keys of cloudwatch_agent_log_groups)"


def _log_file_violations(settings: Settings) -> Iterator[str]:
    for number, entry in enumerate(settings["log_files"]):
        where = f"log_files[{number}]"
        path, kind = str(entry.get("path", "")), entry.get("kind")
        if not path.startswith("/"):
            yield f"{where}.path is {path!r}; allowed: an absolute path"
        if kind not in settings["log_kinds"]:
            yield f"{where}.kind is {kind!r}; allowed: {_list(settings['log_kinds'])} (keys of cloudwatch_agent_log_kinds)"
        extra = set(entry) - set(LOG_FILE_KEYS)
        if extra:
            yield f"{where} has {_list(extra)}; allowed: {_list(LOG_FILE_KEYS)}"
        yield from _line_violations(where, entry)
    yield from _duplicate_violations([str(entry.get("path", "")) for entry in settings["log_files"]])


def _line_violations(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """What would make the agent stop at its start, or never find where an event begins."""
    form, pattern = str(entry.get("timestamp_format") or ""), str(entry.get("multi_line_start_pattern") or "")
    unknown = [part for part in re.findall(r"%-?.?", form) if part not in rules.TIMESTAMP_PARTS]
    if unknown:
        yield f"{where}.timestamp_format is {form!r} with {_list(unknown)}; allowed: {' '.join(rules.TIMESTAMP_PARTS)}"
    if pattern == rules.TIMESTAMP_AS_PATTERN:
        if not form:
            yield f"{where}.multi_line_start_pattern is {pattern!r}; allowed: with a timestamp_format"
    elif pattern:
        yield from _pattern_violations(f"{where}.multi_line_start_pattern", pattern)


def _pattern_violations(where: str, pattern: str) -> Iterator[str]:
    problem = re2.error(pattern)
    if problem:
        yield f"{where} is {pattern!r} ({problem}); allowed: a regular expression in Go's syntax (RE2)"


def _duplicate_violations(paths: Sequence[str]) -> Iterator[str]:
    """The agent starts two readers for what is listed twice, and two writers of one stream mix their lines."""
    for path, count in Counter(paths).items():
        if count > 1:
            yield f"log_files has {path!r} {count} times; allowed: once"
    users: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        if not _has_glob(path):
            users.setdefault(stream_name(path), []).append(path)
    for stream, shared in users.items():
        if len(shared) > 1:
            yield f"log_files has {' and '.join(map(repr, shared))}, which would share the stream {stream!r}; allowed: one of them"
    different = list(dict.fromkeys(paths))
    for number, path in enumerate(different):
        others = different if not _has_glob(path) else different[:number]
        covering = next((glob for glob in others if glob != path and _has_glob(glob) and _meet(glob, path)), None)
        if covering:
            same = "files that" if _has_glob(path) else "which"
            yield f"log_files has {path!r}, {same} {covering!r} collects too; allowed: one of them"


def _newest_only(entry: Mapping[str, Any]) -> bool:
    return bool(boolean(entry.get("newest_only") or False))


def _has_glob(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def _meet(glob: str, path: str) -> bool:
    """Whether a path, or a file that it stands for, is one that a glob stands for: part by part, as a `*` never stands for a slash.

    `**` is not looked into, and `[...]` counts as any character.
    """
    parts, others = ([re.sub(r"\[!?.[^]]*\]", "?", part) for part in text.split("/")] for text in (glob, path))
    return len(parts) == len(others) and all(map(_parts_meet, parts, others))


@cache
def _parts_meet(one: str, other: str) -> bool:
    """Whether there is a name that both patterns of `*`, `?` and characters stand for."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _parts_meet(one[1:], other) or _parts_meet(one, other[1:])
    if other[0] == "*":
        return _parts_meet(one, other[1:]) or _parts_meet(one[1:], other)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _parts_meet(one[1:], other[1:])


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
