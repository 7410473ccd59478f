"""Where the real agent keeps its files."""

from pathlib import Path

HOME = Path("/opt/aws/amazon-cloudwatch-agent")
BIN = HOME / "bin"
ETC = HOME / "etc"
JSON = ETC / "amazon-cloudwatch-agent.json"
JSON_FOLDER = ETC / "amazon-cloudwatch-agent.d"
TOML = ETC / "amazon-cloudwatch-agent.toml"
COMMON = ETC / "common-config.toml"
LOG = HOME / "logs/amazon-cloudwatch-agent.log"
STATE = HOME / "logs/state"
YAML_NAME = "amazon-cloudwatch-agent.yaml"
"""The translated configuration, beside the TOML file. The stand-in writes JSON there, which is YAML too."""
