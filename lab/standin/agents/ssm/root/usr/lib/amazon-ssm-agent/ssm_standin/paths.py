"""Where the agent keeps its things: the real agent's places."""

from pathlib import Path

LOG_FILE = Path("/var/log/amazon/ssm/amazon-ssm-agent.log")
ERROR_FILE = Path("/var/log/amazon/ssm/errors.log")
CONFIG = Path("/etc/amazon/ssm/amazon-ssm-agent.json")
"""Settings in place of the built-in ones; the package brings a template of it only."""
DATA = Path("/var/lib/amazon/ssm")
RUNTIME = Path("/run/amazon-ssm-agent/agent.json")
"""What the running agent says of itself to ssm-cli; systemd removes it when the agent stops."""
WORKER = "/usr/bin/ssm-document-worker"
