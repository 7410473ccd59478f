"""Controls say what the program really uses, whichever of its files says it last."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.drop_ins import chrony_files
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import load

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import enforce

CONTROLS = {control.id: control for control in load([Path(__file__).parents[3] / "controls"])}
RSYSLOG, MORE = "/etc/rsyslog.conf", "/etc/rsyslog.d/90-local.conf"
INCLUDES = "$IncludeConfig /etc/rsyslog.d/*.conf\n"
NO_UDF = "install udf /bin/false\nblacklist udf\n"
RESCUE = "/usr/lib/systemd/system/rescue.service"
LOGIN, SHELL = "ExecStart=-/usr/lib/systemd/systemd-sulogin-shell rescue\n", "ExecStart=\nExecStart=/bin/sh\n"
CHRONY, AUDITD, LIMITS = "/etc/chrony.conf", "/etc/audit/auditd.conf", "/etc/security/limits.conf"
DNF, REPO = "/etc/dnf/dnf.conf", "/etc/yum.repos.d/x.repo"
JOURNAL, LATER = "/etc/systemd/journald.conf", "/run/systemd/journald.conf.d/a.conf"


@pytest.mark.parametrize(
    ("name", "files", "passes"),
    [
        ("rsyslog-no-tcp", {RSYSLOG: "", MORE: 'input(type="imtcp" port="514")\n'}, False),
        ("rsyslog-no-tcp", {RSYSLOG: "", MORE: '  module( load = "imtcp" )\n'}, False),
        ("rsyslog-no-tcp", {RSYSLOG: "", MORE: "$ModLoad imtcp.so\n"}, False),
        ("rsyslog-no-tcp", {RSYSLOG: '# module(load="imtcp")\n', MORE: 'module(load="imuxsock")\n'}, True),
        ("rsyslog-no-udp", {RSYSLOG: "", MORE: "$UDPServerRun 514\n"}, False),
        ("rsyslog-no-udp", {RSYSLOG: 'module (load="imudp")\n'}, False),
        ("rsyslog-no-tcp", {RSYSLOG: "$includeconfig /srv/r/*.x\n", "/srv/r/a.x": 'module(load="imtcp")\n'}, False),
        ("rsyslog-no-tcp", {RSYSLOG: " include( mode='optional' file='/srv/r/' )\n", "/srv/r/a": "$ModLoad imtcp\n"}, False),
        ("rsyslog-no-tcp", {RSYSLOG: INCLUDES, MORE: 'include(file="/srv/b")\n', "/srv/b": "$ModLoad imtcp\n"}, False),
        ("rsyslog-no-tcp", {RSYSLOG: "#$IncludeConfig /srv/b\n", "/srv/b": "$ModLoad imtcp\n"}, True),
        ("rsyslog-no-udp", {RSYSLOG: "$IncludeConfig /etc/rsyslog.conf\n" + INCLUDES, MORE: "$UDPServerRun 514\n"}, False),
        ("rsyslog-logins", {RSYSLOG: "", MORE: "authpriv.* /var/log/secure\n"}, True),
        ("rsyslog-logins", {RSYSLOG: "", MORE: "# authpriv.* /var/log/secure\n"}, False),
        ("rsyslog-cron", {RSYSLOG: "", MORE: "cron.* /var/log/cron\n"}, True),
        ("rsyslog-modes-kept", {RSYSLOG: "$FileCreateMode 0640\n", MORE: "$FileCreateMode 0600\n"}, True),
        ("rsyslog-modes-kept", {RSYSLOG: "$FileCreateMode 0640\n", MORE: "  $FileCreateMode 0644\n"}, False),
        ("rsyslog-modes-kept", {RSYSLOG: "$FileCreateMode 0660\n"}, False),
        ("rsyslog-modes-kept", {RSYSLOG: "$FileCreateMode 644\n"}, False),
        ("rsyslog-modes-kept", {RSYSLOG: "#$FileCreateMode 0644\n"}, True),
        ("time-not-root", {"/etc/sysconfig/chronyd": 'OPTIONS="-F 2"\n', "/etc/chrony.conf": "user root\n"}, False),
        ("time-not-root", {"/etc/sysconfig/chronyd": 'OPTIONS="-u root"\n', "/etc/chrony.conf": ""}, False),
        ("time-not-root", {"/etc/sysconfig/chronyd": "", "/etc/chrony.conf": "user rooted\n"}, True),
        ("time-not-root", {CHRONY: "  Include /etc/c.d/*\n", "/etc/c.d/x": "include /etc/y\n", "/etc/y": "USER root\n"}, False),
        ("time-source", {CHRONY: "include /etc/chrony.d/*.conf\n", "/etc/chrony.d/a.conf": " Pool a.example iburst\n"}, True),
        ("time-source", {CHRONY: "# include /etc/chrony.d/*.conf\n", "/etc/chrony.d/a.conf": "pool a.example\n"}, False),
        ("time-source", {CHRONY: "confdir /etc/a /etc/b\n", "/etc/b/x.conf": "server a.example\n", "/etc/a/x.conf": ""}, False),
        ("time-source", {CHRONY: "confdir /etc/a /etc/b/\n", "/etc/b/y.conf": "server a.example\n", "/etc/a/x.conf": ""}, True),
        ("time-source", {CHRONY: "sourcedir /run/chrony\n", "/run/chrony/eth0.sources": "server a.example\n"}, True),
        ("time-source", {CHRONY: "sourcedir /run/chrony\n", "/run/chrony/eth0.conf": "server a.example\n"}, False),
        ("time-source", {CHRONY: "! server a\n;server b\n%server c\n#server d\n"}, False),
        ("time-source", {CHRONY: "refclock PHC /dev/ptp0\r\n"}, True),
        ("time-source", {CHRONY: "include /etc/chrony.conf\n"}, False),
        ("audit-log-size", {AUDITD: "max_log_file = 8\nMAX_LOG_FILE = 1\n"}, False),
        ("audit-log-size", {AUDITD: "Max_Log_File = 20\n"}, True),
        ("audit-log-kept", {AUDITD: "max_log_file_action = ROTATE\nMax_log_file_Action = Keep_Logs\n"}, True),
        ("core-dumps-none-kept", {LIMITS: "* hard core 0\n# * hard core 5\n* soft core unlimited\n"}, True),
        ("core-dumps-none-kept", {LIMITS: "", "/etc/security/limits.d/zzz.conf": "*\tHARD\tCore\tunlimited\n"}, False),
        ("core-dumps-none-kept", {LIMITS: "@devs - core 100000 # they debug\n"}, False),
        ("core-dumps-none-kept", {LIMITS: "root - core 0 # none\n* - nofile 65536\n"}, True),
        ("packages-signed-everywhere", {REPO: "[a]\ngpgcheck=1\n[b]\n gpgcheck = OFF\n"}, False),
        ("packages-signed-everywhere", {REPO: "[a]\ngpgcheck=0\ngpgcheck=1\n"}, True),
        ("packages-signed-everywhere", {"/etc/yum/repos.d/x.repo": "[a]\ngpgcheck=no\n"}, False),
        ("packages-signed-everywhere", {DNF: "[main]\ngpgcheck=1\n[in-main-file]\ngpgcheck=0\n"}, False),
        ("packages-signed-everywhere", {DNF: "[main]\nreposdir=/srv/a, /srv/b\n", "/srv/b/x.repo": "[x]\ngpgcheck=0\n"}, False),
        ("packages-signed-everywhere", {DNF: "[main]\nreposdir=/srv/a\n", REPO: "[x]\ngpgcheck=0\n"}, True),
        ("packages-signed-everywhere", {DNF: "[main]\ngpgcheck=0\n", REPO: "[x]\n#gpgcheck=0\n"}, True),
        ("logrotate-schedule", {"/etc/logrotate.conf": "weekly\nmonthly\n"}, False),
        ("logrotate-schedule", {"/etc/logrotate.conf": "daily\n/var/log/wtmp {\n    monthly\n}\n"}, True),
        ("logrotate-schedule", {"/etc/logrotate.conf": "/var/log/x {\n    daily\n}\n"}, False),
        ("logrotate-schedule", {"/etc/logrotate.conf": "/var/log/x\n/var/log/y\n{\ndaily\npostrotate\nx ${A} {\n}\nendscript\n}\n"}, False),
        ("logrotate-schedule", {"/etc/logrotate.conf": "daily\n/var/log/x { # {\nmonthly\n  }\n"}, True),
        ("logrotate-schedule", {"/etc/logrotate.conf": "  weekly # ours\n\tmonthly\n"}, False),
        ("core-dumps-none-kept", {LIMITS: "* hard core 5 and more words\n"}, False),
        ("module-udf", {"/usr/lib/modprobe.d/a.conf": NO_UDF, "/proc/modules": ""}, True),
        ("module-udf", {"/usr/lib/modprobe.d/a.conf": NO_UDF, "/etc/modprobe.d/a.conf": "", "/proc/modules": ""}, False),
        ("module-udf", {"/usr/local/lib/modprobe.d/a.conf": NO_UDF, "/proc/modules": ""}, True),
        ("boot-rescue", {RESCUE: LOGIN, "/usr/lib/systemd/system/rescue.service.d/x.conf": SHELL}, False),
        ("boot-rescue", {RESCUE: LOGIN, "/run/systemd/system/rescue.service.d/x.conf": SHELL}, False),
        ("boot-rescue", {RESCUE: SHELL, "/etc/systemd/system/rescue.service.d/x.conf": LOGIN}, True),
        ("journal-persistent", {JOURNAL: "[Journal]\nStorage=persistent\n", LATER: "[Journal]\nStorage=none\n"}, False),
        ("journal-persistent", {JOURNAL: "", "/usr/lib/systemd/journald.conf.d/a.conf": "[Journal]\nStorage=persistent\n"}, True),
        ("journal-compressed", {JOURNAL: "", "/usr/local/lib/systemd/journald.conf.d/zz.conf": "[Journal]\nCompress=no\n"}, False),
    ],
)  # fmt: skip
def test_a_control_goes_by_what_counts(machine: Machine, name: str, files: dict[str, str], passes: bool) -> None:
    for path, text in files.items():
        machine.put(path, text)
    control, host = CONTROLS[name], machine.host()
    resource = TYPES[control.type]
    differences = resource.diff(control.state, resource.read(host, control.state))
    assert (differences == []) == passes, differences
    if not passes and control.type != "probe":  # a probe only looks
        resource.apply(host, control.state, resource.read(host, control.state))
        assert resource.diff(control.state, resource.read(machine.host(), control.state)) == []


@pytest.mark.parametrize(
    ("name", "files", "fixed"),
    [
        ("audit-log-size", {AUDITD: "# c\nMAX_log_file = 1\nmax_log_file = 2\nflush = none\n"}, "# c\nmax_log_file = 8\nflush = none\n"),
        ("time-not-root", {CHRONY: "confdir /etc/c.d\n", "/etc/c.d/a.conf": "User root\nport 0\n"}, "port 0\n"),
        ("logrotate-schedule", {"/etc/logrotate.conf": "create\ninclude /etc/logrotate.d\n"}, "weekly\ncreate\ninclude /etc/logrotate.d\n"),
        ("logrotate-schedule", {"/etc/logrotate.conf": "daily\n monthly\n/a {\nmonthly\n}\n"}, "daily\n weekly\n/a {\nmonthly\n}\n"),
        ("core-dumps-none-kept", {LIMITS: "", "/etc/security/limits.d/z.conf": "* - core 9\n* - nofile 9\n"}, "* - nofile 9\n"),
    ],
)  # fmt: skip
def test_it_is_fixed_where_the_program_reads_it(machine: Machine, name: str, files: dict[str, str], fixed: str) -> None:
    for path, text in files.items():
        machine.put(path, text)
    enforce(machine.host(), CONTROLS[name].type, CONTROLS[name].state)
    assert machine.text(list(files)[-1]) == fixed


def test_chronyd_that_includes_itself_is_read_to_an_end(machine: Machine) -> None:
    machine.put(CHRONY, "include /etc/chrony.conf\nconfdir /etc/c.d\n")
    machine.put("/etc/c.d/a.conf", "confdir /etc/c.d\n")
    assert "/etc/c.d/a.conf" in chrony_files(machine.system)
