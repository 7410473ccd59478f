"""The agent's JSON configuration: read from the drop-in folder, merged, held against what the real schema allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RETENTION = {
    -1,
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
}
LOG_KEYS = {
    *(
        "file_path",
        "log_group_name",
        "log_stream_name",
        "log_group_class",
        "multi_line_start_pattern",
        "timestamp_format",
        "timezone",
    ),
    *(
        "trim_timestamp",
        "encoding",
        "auto_removal",
        "backpressure_mode",
        "blacklist",
        "publish_multi_logs",
        "retention_in_days",
        "filters",
    ),
    *("service.name", "deployment.environment"),
}
LOGS_KEYS = {
    "logs_collected",
    "metrics_collected",
    "log_stream_name",
    "force_flush_interval",
    "credentials",
    "endpoint_override",
    "concurrency",
}
METRICS_KEYS = {
    *(
        "namespace",
        "aggregation_dimensions",
        "append_dimensions",
        "metrics_destinations",
        "metrics_collected",
        "force_flush_interval",
    ),
    *("credentials", "endpoint_override"),
}
STATSD_KEYS = {
    *("service_address", "allowed_pending_messages", "metrics_collection_interval", "metrics_aggregation_interval"),
    *("metric_separator", "drop_original_metrics", "service.name", "deployment.environment"),
}
TRACES_KEYS = {
    *("traces_collected", "concurrency", "buffer_size_mb", "resource_arn", "local_mode", "insecure", "credentials"),
    *("proxy_override", "endpoint_override", "region_override", "transit_spans_in_otlp_format"),
}
OTLP_KEYS = {"grpc_endpoint", "http_endpoint", "tls", "service.name", "deployment.environment"}
TRACE_RECEIVERS: dict[str, set[str]] = {"xray": {"bind_address", "tcp_proxy"}, "otlp": OTLP_KEYS}
PROCESS_SELECTORS = ("exe", "pattern", "pid_file")


class ConfigError(Exception):
    """The configuration is wrong; `problems` has one line per error."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(single: Path | None, folder: Path | None, mode: str) -> dict[str, Any] | None:
    """The merged configuration of the files that `mode` (default, append, remove) looks at; None when there is none.

    As in the real translator: `default` takes the `.tmp` files, `remove` the others, `append` both, a `.tmp` file in place of its namesake.
    """
    files: dict[Path, Path] = {}
    if mode != "default" and single and single.exists():
        files[single] = single
    for file in sorted(folder.rglob("*")) if folder and folder.is_dir() else []:
        fresh = file.suffix == ".tmp"
        if file.is_file() and (mode != "remove" if fresh else mode != "default"):
            name = file.with_suffix("") if fresh else file
            if fresh or name not in files:
                files[name] = file
    merged: dict[str, Any] = {}
    for file in files.values():
        merge(merged, _load(file), "")
    return merged if files else None


def _load(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
    except ValueError as error:
        raise ConfigError(f"Under path : / | Error : unable to parse {file}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"Under path : / | Error : {file} contains a {type(document).__name__}, not an object")
    return document


def merge(into: dict[str, Any], more: dict[str, Any], path: str) -> None:
    """Adds a file's settings: objects join, lists extend, two different values for one setting are an error that names no file."""
    for key, value in more.items():
        where = f"{path}/{key}"
        have = into.get(key)
        if have is None:
            into[key] = value
        elif isinstance(have, dict) and isinstance(value, dict):
            merge(have, value, where)
        elif isinstance(have, list) and isinstance(value, list):
            have.extend(item for item in value if item not in have)
        elif have != value:
            raise ConfigError(f"Under path : {where} | Error : Different values are specified for {key}")


def problems(document: dict[str, Any]) -> list[str]:
    """One line per error. Like the real schema it lets unknown measurements and dimensions pass."""
    checks: tuple[tuple[str, Callable[[Any], Iterator[tuple[str, str]]]], ...] = (
        ("agent", _agent),
        ("metrics", _metrics),
        ("logs", _logs),
        ("traces", _traces),
    )
    found = [
        f"Under path : /{section}{where} | Error : {what}"
        for section, check in checks
        if section in document
        for where, what in check(document[section])
    ]
    if not {"metrics", "logs", "traces"} & set(document):
        found.append("Under path : / | Error : none of metrics, logs and traces is there")
    return found


def _agent(section: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(section, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _integer(section, "metrics_collection_interval", 1, 172_800)
    for key in ("run_as_user", "logfile", "region"):
        if not isinstance(section.get(key, ""), str):
            yield f"/{key}", "Invalid type. Expected: string"


def _metrics(section: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(section, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _unknown(section, METRICS_KEYS)
    plugins = section.get("metrics_collected")
    if not isinstance(plugins, dict) or not plugins:
        yield "/metrics_collected", "Must have at least 1 property"
        return
    for name, plugin in plugins.items():
        if name == "statsd":
            yield from (("/metrics_collected/statsd" + where, what) for where, what in _statsd(plugin))
            continue
        entries = plugin if name == "procstat" else [plugin]
        if not isinstance(entries, list):
            yield f"/metrics_collected/{name}", "Invalid type. Expected: array"
            continue
        for entry in entries:
            yield from ((f"/metrics_collected/{name}{where}", what) for where, what in _plugin(name, entry))


def _plugin(name: str, entry: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        yield "", "Invalid type. Expected: object"
        return
    measurements = entry.get("measurement", [])
    if not isinstance(measurements, list) or not all(isinstance(item, (str, dict)) for item in measurements):
        yield "/measurement", "Invalid type. Expected: array of strings and objects"
    elif "measurement" in entry and not measurements:
        yield "/measurement", "Array must have at least 1 items"
    if name == "procstat" and sum(key in entry for key in PROCESS_SELECTORS) != 1:
        yield "", f"Must validate one and only one schema (oneOf {', '.join(PROCESS_SELECTORS)})"
    yield from _integer(entry, "metrics_collection_interval", 1, 172_800)


def _statsd(entry: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _unknown(entry, STATSD_KEYS)
    yield from _address(entry, "service_address")
    yield from _integer(entry, "metrics_collection_interval", 1, 172_800)
    yield from _integer(entry, "metrics_aggregation_interval", 0, 172_800)


def _emf(entry: Any) -> Iterator[tuple[str, str]]:
    """The schema takes anything here; the translator wants `udp://host:port` or `tcp://host:port`."""
    address = entry.get("service_address", "tcp://:25888") if isinstance(entry, dict) else None
    if not isinstance(address, str) or address.partition(":")[0] not in ("tcp", "udp") or address.count(":") != 2:
        yield "/service_address", "invalid service split"


def _traces(section: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(section, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _unknown(section, TRACES_KEYS)
    collected = section.get("traces_collected")
    if not isinstance(collected, dict) or not collected:
        yield "/traces_collected", "Must have at least 1 property"
        return
    yield from (("/traces_collected" + where, what) for where, what in _unknown(collected, set(TRACE_RECEIVERS)))
    for name in TRACE_RECEIVERS.keys() & collected.keys():
        # As in the schema: one object, or several for OTLP.
        several = collected[name] if name == "otlp" and isinstance(collected[name], list) else [collected[name]]
        for entry in several:
            yield from ((f"/traces_collected/{name}{where}", what) for where, what in _trace_receiver(name, entry))


def _trace_receiver(name: str, entry: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _unknown(entry, TRACE_RECEIVERS[name])
    for key in ("bind_address", "grpc_endpoint", "http_endpoint"):
        yield from _address(entry, key)
    if "tcp_proxy" in entry:
        proxy = entry["tcp_proxy"]
        yield from (
            [("/tcp_proxy", "Invalid type. Expected: object")]
            if not isinstance(proxy, dict)
            else _address(proxy, "bind_address")
        )


def _logs(section: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(section, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _unknown(section, LOGS_KEYS)
    yield from _integer(section, "force_flush_interval", 1, 172_800)
    metrics = section.get("metrics_collected", {})
    if isinstance(metrics, dict) and "emf" in metrics:
        yield from (("/metrics_collected/emf" + where, what) for where, what in _emf(metrics["emf"]))
    collected = section.get("logs_collected", {})
    files = collected.get("files", {}) if isinstance(collected, dict) else None
    entries = files.get("collect_list", []) if isinstance(files, dict) else None
    if not isinstance(entries, list):
        yield "/logs_collected/files/collect_list", "Invalid type. Expected: array"
        return
    retention: dict[str, Any] = {}
    for number, entry in enumerate(entries):
        where = f"/logs_collected/files/collect_list/{number}"
        yield from ((where + deeper, what) for deeper, what in _log_file(entry, retention))


def _log_file(entry: Any, retention: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        yield "", "Invalid type. Expected: object"
        return
    yield from _unknown(entry, LOG_KEYS)
    if not isinstance(entry.get("file_path"), str):
        yield "", "file_path is required"
    days = entry.get("retention_in_days", -1)
    if days not in RETENTION:
        yield "/retention_in_days", f"{days} is not one of {sorted(RETENTION)}"
    group = entry.get("log_group_name", entry.get("file_path"))
    if isinstance(group, str) and retention.setdefault(group, days) != days:
        yield "/retention_in_days", f"Different retention_in_days values can't be set for the same log group: {group}"


def _unknown(section: dict[str, Any], allowed: set[str]) -> Iterator[tuple[str, str]]:
    yield from (("", f"Additional property {key} is not allowed") for key in section if key not in allowed)


def _integer(section: dict[str, Any], key: str, least: int, most: int) -> Iterator[tuple[str, str]]:
    value = section.get(key, least)
    if not isinstance(value, int) or isinstance(value, bool):
        yield f"/{key}", f"Invalid type. Expected: integer, given: {type(value).__name__}"
    elif not least <= value <= most:
        yield f"/{key}", f"Must be between {least} and {most}"


def _address(section: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    value = section.get(key, ":1")
    if not isinstance(value, str):
        yield f"/{key}", f"Invalid type. Expected: string, given: {type(value).__name__}"
    elif not value.rpartition(":")[2].isdecimal():
        yield f"/{key}", f"{value!r} has no port"
