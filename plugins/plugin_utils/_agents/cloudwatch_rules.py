# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CloudWatch agent and CloudWatch Logs accept, as data. Used on the control node only.

Sources: "Metrics collected by the CloudWatch agent" and "Manually create or edit the CloudWatch agent configuration file" (CloudWatch User
Guide); PutRetentionPolicy and CreateLogGroup (CloudWatch Logs API Reference); MetricDatum (CloudWatch API Reference).
"""

# ruff: noqa: SIM905 - word lists read better as words

from __future__ import annotations

RETENTION_DAYS = (
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
)
"""The values that PutRetentionPolicy takes."""

DIMENSIONS = ("AutoScalingGroupName", "ImageId", "InstanceId", "InstanceType")
"""What `append_dimensions` may add; the agent ignores every other name without a word."""

UNITS = tuple(
    "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits Terabits Percent "
    "Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second Megabits/Second "
    "Gigabits/Second Terabits/Second Count/Second None".split()
)

MAX_INTERVAL_SECONDS = 172_800
"""Two days: the schema's maximum of `metrics_collection_interval`."""

PROCSTAT = "procstat"
"""Configured by a list of processes instead of one table of measurements."""

_TCP_STATES = (
    "close close_wait closing established fin_wait1 fin_wait2 last_ack listen none syn_sent syn_recv time_wait".split()
)
_CPU_STATES = "active guest guest_nice idle iowait irq nice softirq steal system user".split()
_PROCSTAT_LIMITS = [
    *"cpu_time file_locks nice_priority num_fds realtime_priority signals_pending".split(),
    *"memory_data memory_locked memory_rss memory_stack memory_vms".split(),
]
_VOLUME_COUNTERS = (
    "total_read_ops total_write_ops total_read_bytes total_write_bytes total_read_time total_write_time".split()
)
_EXCEEDED = "performance_exceeded_iops performance_exceeded_tp".split()

MEASUREMENTS: dict[str, tuple[str, ...]] = {
    "cpu": tuple(f"{kind}_{state}" for kind in ("time", "usage") for state in _CPU_STATES),
    "disk": tuple("free inodes_free inodes_total inodes_used total used used_percent".split()),
    "diskio": (
        *"iops_in_progress io_time reads read_bytes read_time writes write_bytes write_time".split(),
        *(f"ebs_{name}" for name in _VOLUME_COUNTERS),
        *(f"ebs_{level}_{name}" for level in ("volume", "ec2_instance") for name in _EXCEEDED),
        "ebs_volume_queue_length",
        *(f"instance_store_{name}" for name in (*_VOLUME_COUNTERS, *_EXCEEDED, "volume_queue_length")),
    ),
    "mem": tuple(
        "active available available_percent buffered cached free inactive shared total used used_percent".split()
    ),
    "net": tuple("bytes_sent bytes_recv drop_in drop_out err_in err_out packets_sent packets_recv".split()),
    "netstat": (
        *(
            f"tcp_{state}"
            for state in "close close_wait closing established fin_wait1 fin_wait2 last_ack listen none syn_sent syn_recv".split()
        ),
        "tcp_time_wait",
        "udp_socket",
    ),
    "processes": tuple("blocked dead idle paging running sleeping stopped total total_threads wait zombies".split()),
    "swap": tuple("free used used_percent".split()),
    PROCSTAT: (
        *"cpu_time cpu_usage involuntary_context_switches voluntary_context_switches".split(),
        *"nice_priority num_fds num_threads pid pid_count".split(),
        *(
            f"cpu_time_{state}"
            for state in "guest guest_nice idle iowait irq nice soft_irq steal stolen system user".split()
        ),
        *(f"memory_{name}" for name in "data locked rss stack swap vms".split()),
        *"read_bytes read_count write_bytes write_count".split(),
        *"realtime_priority signals_pending".split(),
        *(f"rlimit_{name}_{side}" for name in _PROCSTAT_LIMITS for side in ("hard", "soft")),
    ),
}
"""Measurement names by plugin, without the plugin's name in front (the agent takes both forms)."""

RESOURCES = ("cpu", "disk", "diskio", "net")
"""The plugins that take `resources`: mount points, devices, interfaces."""

PLUGIN_KEYS: dict[str, tuple[str, ...]] = {
    "cpu": ("totalcpu",),
    "disk": ("ignore_file_system_types", "drop_device"),
}
"""What a plugin takes besides measurement, metrics_collection_interval and resources."""

PROCESS_SELECTORS = ("exe", "pattern", "pid_file")
"""How procstat finds processes; each entry has exactly one."""

STATSD_ADDRESS = "127.0.0.1:8125"
EMF_ADDRESS = "tcp://127.0.0.1:25888"
"""One transport only: without `service_address` the agent listens on both, and on every address of the host."""
XRAY_ADDRESS = "127.0.0.1:2000"
"""UDP for segments, TCP for the SDK's questions about sampling rules."""
OTLP_GRPC_ADDRESS, OTLP_HTTP_ADDRESS = "127.0.0.1:4317", "127.0.0.1:4318"

RECEIVERS = ("statsd", "emf", "xray", "otlp")
"""Variables that turn a receiver on. Whoever reaches a receiver writes metrics and traces in the host's name, so all are on loopback."""

OWN_VARIABLE = {PROCSTAT: "name the processes in cloudwatch_agent_processes"} | {
    name: f"set cloudwatch_agent_{name} to true, which listens on loopback only" for name in RECEIVERS
}
"""Keys of `metrics_collected` that this role renders from variables of their own."""

TIMESTAMP_PARTS = tuple("%Y %y %B %b %m %-m %A %a %d %-d %H %I %-I %M %-M %S %-S %f %p %Z %z".split())
"""What `timestamp_format` may have; the agent takes other letters literally and then finds no time. `%z` is +0100, without a colon."""
TIMESTAMP_AS_PATTERN = "{timestamp_format}"
"""As `multi_line_start_pattern`: an event begins where a time is."""
