"""The CloudWatch agent's variables: what is refused, in which words, and what is rendered."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents import cloudwatch_rules as rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents.cloudwatch import config, stream_name, violations
from hypothesis import assume, given
from hypothesis import strategies as st

DEFAULTS = Path(__file__).resolve().parents[3] / "roles/cloudwatch_agent/defaults/main.yml"
LOG = {"path": "/var/log/nginx/access.log", "kind": "access", "service": "nginx"}


@pytest.fixture
def settings() -> dict[str, Any]:
    variables = yaml.safe_load(DEFAULTS.read_text())
    return {name.removeprefix("cloudwatch_agent_"): value for name, value in copy.deepcopy(variables).items()} | {
        "log_files": [LOG]
    }


@pytest.fixture(scope="module")
def settings_text() -> str:
    variables = yaml.safe_load(DEFAULTS.read_text())
    return yaml.safe_dump({name.removeprefix("cloudwatch_agent_"): value for name, value in variables.items()})


def put(settings: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        settings = settings[key]
    settings[last] = value


def test_the_roles_defaults_have_no_violations(settings: dict[str, Any]) -> None:
    assert violations(settings) == []


@pytest.mark.parametrize(
    ("path", "value", "named", "allowed"),
    [
        (
            "metrics/mem/measurement",
            ["used_pct"],
            "cloudwatch_agent_metrics.mem.measurement has 'used_pct'",
            "used_percent",
        ),
        ("metrics/mem/measurement", [], "cloudwatch_agent_metrics.mem.measurement is []", "used_percent"),
        (
            "metrics/mem/measurement",
            ["used", "mem_used"],
            "cloudwatch_agent_metrics.mem.measurement has 'used' 2 times",
            "once",
        ),
        ("metrics/mem/measurement", [{"name": "used", "unit": "Gb"}], "unit 'Gb'", "Gigabytes"),
        ("metrics/mem/measurement", [{"name": "used", "as": "x"}], "with 'as'", "name, rename, unit"),
        ("metrics/mem/resources", ["*"], "cloudwatch_agent_metrics.mem.resources", "measurement"),
        ("metrics/memory", {"measurement": ["used"]}, "cloudwatch_agent_metrics.memory is not a plugin", "mem, net"),
        ("metrics/procstat", [], "cloudwatch_agent_metrics.procstat", "cloudwatch_agent_processes"),
        ("metrics/mem", ["used"], "cloudwatch_agent_metrics.mem is ['used']", "dictionary"),
        ("metrics_interval_seconds", 0, "cloudwatch_agent_metrics_interval_seconds is 0", "1 to 172800"),
        ("namespace", "AWS/EC2", "cloudwatch_agent_namespace is 'AWS/EC2'", "not starting with AWS/"),
        (
            "dimensions",
            ["AutoScalingGroupName", "Instanceid"],
            "cloudwatch_agent_dimensions has 'Instanceid'",
            "InstanceId",
        ),
        (
            "aggregation_dimensions",
            [["ImageId"]],
            "cloudwatch_agent_aggregation_dimensions has 'ImageId'",
            "AutoScalingGroupName",
        ),
        (
            "processes",
            [{"exe": "nginx", "pattern": "x"}],
            "cloudwatch_agent_processes[0]",
            "exactly one of exe, pattern, pid_file",
        ),
        ("processes", [{"exe": "nginx", "user": "x"}], "cloudwatch_agent_processes[0] has user", "measurement"),
        (
            "process_measurements",
            ["memory_used"],
            "cloudwatch_agent_process_measurements has 'memory_used'",
            "memory_rss",
        ),
        ("log_groups/audit/retention_days", 2555, "cloudwatch_agent_log_groups.audit.retention_days is 2555", "2557"),
        ("log_groups/audit/retention_days", "30", "cloudwatch_agent_log_groups.audit.retention_days is '30'", "2557"),
        (
            "log_groups/audit/name",
            "/aws/ec2/application",
            "cloudwatch_agent_log_groups.audit.retention_days is 2557",
            "30",
        ),
        ("log_groups/audit/name", "a group", "cloudwatch_agent_log_groups.audit.name is 'a group'", "letters, digits"),
        (
            "log_kinds/app",
            "applications",
            "cloudwatch_agent_log_kinds.app is 'applications'",
            "application, audit, security",
        ),
        ("log_files", [LOG | {"kind": "acces"}], "cloudwatch_agent_log_files[0].kind is 'acces'", "access"),
        ("log_files", [LOG | {"path": "access.log"}], "cloudwatch_agent_log_files[0].path is 'access.log'", "absolute"),
        ("log_files", [LOG | {"stream": "x"}], "cloudwatch_agent_log_files[0] has stream", "timestamp_format"),
        ("log_flush_seconds", 0, "cloudwatch_agent_log_flush_seconds is 0", "1 to 172800"),
        ("statsd_interval_seconds", "1m", "cloudwatch_agent_statsd_interval_seconds is '1m'", "1 to 172800"),
        (
            "metrics/mem/metrics_collection_interval",
            172_801,
            "cloudwatch_agent_metrics.mem.metrics_collection_interval is 172801",
            "1 to 172800",
        ),
        ("metrics/disk/resources", "/", "cloudwatch_agent_metrics.disk.resources is '/'", "a list"),
        (
            "metrics/statsd",
            {"service_address": ":8125"},
            "cloudwatch_agent_metrics.statsd is not taken here",
            "cloudwatch_agent_statsd to true, which listens on loopback only",
        ),
        ("dimensions", ["InstanceId", "InstanceId", "AutoScalingGroupName"], "'InstanceId' 2 times", "once"),
        (
            "aggregation_dimensions",
            [["InstanceId", "AutoScalingGroupName"], ["AutoScalingGroupName", "InstanceId"]],
            "the set AutoScalingGroupName, InstanceId twice",
            "once",
        ),
        (
            "log_files",
            [LOG, LOG | {"path": "/var/log/nginx/*.log"}],
            "cloudwatch_agent_log_files has '/var/log/nginx/access.log', which '/var/log/nginx/*.log' collects too",
            "one of them",
        ),
        (
            "log_files",
            [LOG | {"path": "/srv/a:b"}, LOG | {"path": "/srv/a_b"}],
            "cloudwatch_agent_log_files has '/srv/a:b' and '/srv/a_b', which would share the stream",
            "one of them",
        ),
        (
            "log_files",
            [LOG | {"path": "/var/log/shop/*.log"}, LOG | {"path": "/var/log/shop/3*"}],
            "cloudwatch_agent_log_files has '/var/log/shop/3*', files that '/var/log/shop/*.log' collects too",
            "one of them",
        ),
        (
            "log_files",
            [LOG | {"multi_line_start_pattern": "["}],
            "cloudwatch_agent_log_files[0].multi_line_start_pattern is '[' (missing closing ]: `[`)",
            "RE2",
        ),
        (
            "log_files",
            [LOG | {"multi_line_start_pattern": r"^(?!\s)"}],
            "multi_line_start_pattern is '^(?!\\\\s)' (invalid or unsupported Perl syntax: `(?!",
            "RE2",
        ),
        (
            "log_files",
            [LOG | {"multi_line_start_pattern": "{timestamp_format}"}],
            "multi_line_start_pattern is '{timestamp_format}'",
            "with a timestamp_format",
        ),
        (
            "log_files",
            [LOG | {"timestamp_format": "%Y-%m-%dT%T%:z"}],
            "cloudwatch_agent_log_files[0].timestamp_format is '%Y-%m-%dT%T%:z' with %:, %T",
            "%H",
        ),
        ("processes", [{"pattern": "node ("}], "cloudwatch_agent_processes[0].pattern is 'node ('", "RE2"),
        ("processes", [{"exe": "*"}], "cloudwatch_agent_processes[0].exe is '*'", "RE2"),
        ("log_files", [LOG, LOG], "cloudwatch_agent_log_files has '/var/log/nginx/access.log' 2 times", "once"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    settings: dict[str, Any], path: str, value: Any, named: str, allowed: str
) -> None:
    put(settings, path, value)
    found = violations(settings)
    assert len(found) == 1
    assert found[0].startswith("cloudwatch_agent_")
    assert named in found[0]
    assert allowed in found[0]


def test_every_violation_is_reported_at_once(settings: dict[str, Any]) -> None:
    put(settings, "dimensions", ["instance"])
    put(settings, "metrics_interval_seconds", -1)
    put(settings, "log_files", [LOG | {"kind": "x"}])
    assert len(violations(settings)) >= 3


def test_a_log_file_goes_to_the_group_of_its_kind_with_its_retention(settings: dict[str, Any]) -> None:
    put(settings, "log_files", [LOG, {"path": "/var/log/audit/audit.log", "kind": "audit", "service": "auditd"}])
    app, audit = config(settings)["logs"]["logs_collected"]["files"]["collect_list"]
    assert (app["log_group_name"], app["retention_in_days"]) == ("/aws/ec2/application", 30)
    assert (audit["log_group_name"], audit["retention_in_days"]) == ("/aws/ec2/audit", 2557)


def test_every_file_of_a_glob_is_collected_to_a_stream_of_its_own(settings: dict[str, Any]) -> None:
    glob = LOG | {"path": "/var/log/shop/*.log"}
    put(settings, "log_files", [LOG, glob, glob | {"path": "/var/log/daily/app.*", "newest_only": True}])
    assert violations(settings) == []
    plain, several, series = config(settings)["logs"]["logs_collected"]["files"]["collect_list"]
    assert several["publish_multi_logs"] is True
    assert several["log_stream_name"] == "{instance_id}"
    assert "publish_multi_logs" not in plain and "publish_multi_logs" not in series
    assert series["log_stream_name"] == "{instance_id}/var/log/daily/app.all"


@given(
    path=st.text("ab./", min_size=1, max_size=8),
    places=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["*", "?", "[ab.]"])), max_size=3),
    others=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["*", "?"])), max_size=3),
)
def test_two_globs_of_one_file_are_never_both_accepted(
    settings_text: str, path: str, places: list[tuple[int, str]], others: list[tuple[int, str]]
) -> None:
    def glob(replaced: list[tuple[int, str]]) -> str:
        signs = dict(replaced)
        return "/" + "".join(signs.get(i, c) if c != "/" else c for i, c in enumerate(path))

    one, other = glob(places), glob(others)
    assume(one != other)
    settings = yaml.safe_load(settings_text)
    settings["log_files"] = [LOG | {"path": one}, LOG | {"path": other}]
    found = [v for v in violations(settings) if "collects too" in v]
    assert bool(found) == any(sign in one + other for sign in "*?[")


def test_no_two_files_share_a_stream_and_a_stream_name_is_legal() -> None:
    names = [stream_name(path) for path in ("/var/log/a.log", "/srv/a.log", "/var/log/*.log", "/var/log/a:b")]
    assert len(set(names)) == 4
    assert [name for name in names if not re.fullmatch(r"[^:*]+", name)] == []


def test_processes_get_the_common_measurements_unless_they_have_their_own(settings: dict[str, Any]) -> None:
    put(settings, "processes", [{"exe": "nginx"}, {"pattern": "node", "measurement": ["memory_rss"]}])
    nginx, node = config(settings)["metrics"]["metrics_collected"]["procstat"]
    assert nginx["measurement"] == settings["process_measurements"]
    assert node["measurement"] == ["memory_rss"]


def test_nothing_to_collect_renders_no_section(settings: dict[str, Any]) -> None:
    settings |= {"metrics": {}, "processes": [], "log_files": []}
    assert set(config(settings)) == {"agent"}


def test_the_rules_know_what_the_documentation_lists() -> None:
    assert {"used_percent", "available"} <= set(rules.MEASUREMENTS["mem"])
    assert {"rlimit_num_fds_hard", "cpu_usage", "pid_count"} <= set(rules.MEASUREMENTS["procstat"])
    assert {30, 365, 2557} <= set(rules.RETENTION_DAYS)
    assert all(len(set(names)) == len(names) for names in rules.MEASUREMENTS.values())


def test_a_glob_in_another_directory_is_no_duplicate(settings: dict[str, Any]) -> None:
    put(settings, "log_files", [LOG, LOG | {"path": "/var/log/*.log"}, LOG | {"path": "/var/log/nginx/*.json"}])
    assert violations(settings) == []


def test_receivers_are_off_unless_asked_for(settings: dict[str, Any]) -> None:
    document = config(settings)
    assert "statsd" not in document["metrics"]["metrics_collected"]
    assert "metrics_collected" not in document["logs"]
    assert "traces" not in document


def test_receivers_listen_on_loopback_only(settings: dict[str, Any]) -> None:
    document = config(settings | dict.fromkeys(rules.RECEIVERS, True))
    statsd = document["metrics"]["metrics_collected"]["statsd"]
    assert statsd == {"service_address": "127.0.0.1:8125", "metrics_aggregation_interval": 60}
    assert document["logs"]["metrics_collected"] == {"emf": {"service_address": "tcp://127.0.0.1:25888"}}
    assert document["traces"]["traces_collected"] == {
        "xray": {"bind_address": "127.0.0.1:2000", "tcp_proxy": {"bind_address": "127.0.0.1:2000"}},
        "otlp": {"grpc_endpoint": "127.0.0.1:4317", "http_endpoint": "127.0.0.1:4318"},
    }


def test_a_receiver_alone_is_something_to_run_for(settings: dict[str, Any]) -> None:
    nothing: dict[str, Any] = {"metrics": {}, "processes": [], "log_files": []}
    assert set(config(settings | nothing | {"statsd": "yes"})) == {"agent", "metrics"}
    assert set(config(settings | nothing | {"emf": True})) == {"agent", "logs"}
    assert set(config(settings | nothing | {"xray": True, "otlp": "false"})["traces"]["traces_collected"]) == {"xray"}


@pytest.mark.parametrize(
    "days", [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
)
def test_every_retention_that_cloudwatch_logs_takes_is_taken(settings: dict[str, Any], days: int) -> None:
    put(settings, "log_groups/audit/retention_days", days)
    assert violations(settings) == []
