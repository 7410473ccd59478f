"""Where the agent keeps its things: the real agent's places."""

from pathlib import Path

LOG_FILE = Path("/var/log/amazon/ssm/amazon-ssm-agent.log")
ERROR_FILE = Path("/var/log/amazon/ssm/errors.log")
DATA = Path("/var/lib/amazon/ssm")
RUNTIME = Path("/run/amazon-ssm-agent/agent.json")
"""What the running agent says of itself to ssm-cli; systemd removes it when the agent stops."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CONTAINER_START = Path("/proc/1/stat")
WORKER = "/usr/bin/ssm-document-worker"


def boot_id() -> str:
    """Differs after every boot: the kernel's id and, since containers share a kernel, when PID 1 was started."""
    started = CONTAINER_START.read_text().rpartition(")")[2].split()[19]
    return f"{BOOT_ID.read_text().strip()}/{started}"
