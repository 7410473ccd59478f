"""What SSH through Session Manager costs against plain SSH: site.yml again, the first connection, many hosts at once, and files.

The peer is the same inventory with fleet_connection=ssh. Uploads are bounded by session-manager-plugin itself: it sends messages of 1024
bytes and sleeps for a millisecond after each (standardstreamforwarding.go), so less than 1 MB/s whatever carries them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import site
from tests.benchmarks.lab import ROOT, BenchmarkError, Hosts, alternate
from tests.benchmarks.result import Figure, Result

HOSTS = 3
RUNS = 2
MANY = 20
UPLOAD_MB, DOWNLOAD_MB = 5, 50
OURS, PEER = "session_manager_ssh", "ssh"
PROXY = ROOT / "plugins/plugin_utils/_session_manager/proxy.py"
SSH_CONFIG = """Host i-*
  User ec2-user
  IdentityFile {folder}/id
  IdentitiesOnly yes
  StrictHostKeyChecking accept-new
  UserKnownHostsFile {folder}/known_hosts
  ProxyCommand {python} {proxy} %h --user %r --port %p --region us-east-1 --public-key {folder}/id.pub
"""


def second_run(hosts: Hosts, way: str) -> float:
    seconds, _output = hosts.playbook("site", fleet_connection=way, fleet_host_key_checking="published")
    return seconds


def ping(hosts: Hosts, way: str, sockets: str, checking: str) -> float:
    """One module on every host. ``sockets``: the folder of open connections."""
    variables = {"fleet_connection": way, "fleet_host_key_checking": checking, "ansible_control_path_dir": sockets}
    return hosts.adhoc("ansible.builtin.ping", "--forks", str(MANY), **variables)


def many_at_once(hosts: Hosts, way: str) -> float:
    """Over connections that are opened for it. Hosts on which nothing was played yet publish no keys."""
    with tempfile.TemporaryDirectory() as sockets:
        return ping(hosts, way, sockets, "accept_new")


def first_connection(hosts: Hosts) -> float:
    """What the first connections add to a command over open ones."""
    with tempfile.TemporaryDirectory() as sockets:
        return ping(hosts, OURS, sockets, "published") - ping(hosts, OURS, sockets, "published")


def throughput(hosts: Hosts) -> tuple[float, float]:
    """(upload, download) by scp, connection included, in MB/s. Raises BenchmarkError where a byte is lost."""
    folder, host = hosts.lab.folder, hosts.names[0]
    hosts.lab.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id"))
    config = folder / "ssh_config"
    config.write_text(SSH_CONFIG.format(folder=folder, python=sys.executable, proxy=PROXY))
    seconds = {}
    for name, size in (("upload", UPLOAD_MB), ("download", DOWNLOAD_MB)):
        sent, received = folder / name, folder / f"{name}.back"
        with Path("/dev/urandom").open("rb") as source:
            sent.write_bytes(source.read(size * 1_000_000))
        if name == "download":
            address = hosts.addresses[host]
            key = [f"-oIdentityFile={hosts.lab.key}", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
            hosts.lab.run("scp", "-q", *key, str(sent), f"ec2-user@{address}:/tmp/{name}")
        begin = time.perf_counter()
        pair = [f"{host}:/tmp/{name}", str(received)] if name == "download" else [str(sent), f"{host}:/tmp/{name}"]
        hosts.lab.run("scp", "-q", "-F", str(config), *pair)
        seconds[name] = time.perf_counter() - begin
        if name == "download" and received.read_bytes() != sent.read_bytes():
            raise BenchmarkError(f"{received} is not what {host} has sent")
    return UPLOAD_MB / seconds["upload"], DOWNLOAD_MB / seconds["download"]


def measure(hosts: Hosts) -> Result:
    site.publish_release(hosts)
    hosts.playbook("site", fleet_connection=PEER)  # from then on they publish their keys
    ours, peer = alternate(RUNS, lambda: second_run(hosts, OURS), lambda: second_run(hosts, PEER))
    first = statistics.median(first_connection(hosts) for _ in range(RUNS + 1))
    upload, download = throughput(hosts)
    with hosts.lab.hosts(MANY - hosts.count):
        at_once = alternate(RUNS, lambda: many_at_once(hosts, OURS), lambda: many_at_once(hosts, PEER))
    return Result(
        name="connection",
        ours=ours,
        peer=peer,
        peer_name="plain SSH",
        unit="s",
        how=f"wall time of the second run of site.yml on {hosts.count} {hosts.os} hosts of the lab, median of {RUNS} runs in turn; "
        "session-manager-plugin sends no more than 1 MB/s",
        figures=(
            Figure("second run of site.yml against plain SSH", ours / peer, 1.25, "times"),
            Figure(f"first connections to {hosts.count} hosts at once", first, 2, "s"),
            Figure(f"{MANY} hosts at once against plain SSH", at_once[0] / at_once[1], 2, "times"),
            Figure(f"upload of {UPLOAD_MB} MB by scp", upload, None, "MB/s"),
            Figure(f"download of {DOWNLOAD_MB} MB by scp", download, None, "MB/s"),
        ),
    )
