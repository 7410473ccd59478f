"""start-amazon-cloudwatch-agent: what the unit starts. Translates the configuration, then becomes the agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cloudwatch_standin import paths
from cloudwatch_standin.journal import Journal
from cloudwatch_standin.translator import NO_CONFIG


def main(_arguments: Sequence[str]) -> int:
    log = Journal(paths.LOG)
    command: list[str | Path] = [paths.BIN / "config-translator", "--output", paths.TOML, "--mode", "auto"]
    command += ["--input", paths.JSON, "--input-dir", paths.JSON_FOLDER, "--config", paths.COMMON]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        log.write("I" if done.returncode == 0 else "E", line)
    if done.returncode == NO_CONFIG:
        log.write("I", "No json config files found, please provide config, exit now")
        return 0
    if done.returncode:
        log.write("E", f"Cannot translate JSON, exit status {done.returncode}")
        return 1
    log.write("I", f"Config has been translated into TOML {paths.TOML}")
    # The unit's main process becomes the agent, as the real one does.
    agent = str(paths.BIN / "amazon-cloudwatch-agent")
    return os.execv(agent, [agent, "-config", str(paths.TOML)])  # noqa: S606
