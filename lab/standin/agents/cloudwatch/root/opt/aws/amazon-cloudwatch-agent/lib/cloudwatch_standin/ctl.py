"""amazon-cloudwatch-agent-ctl: start, stop, status, fetch-config, append-config, remove-config."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudwatch_standin import paths

UNIT = "amazon-cloudwatch-agent.service"
MULTI_CONFIG = {"fetch-config": "default", "append-config": "append", "remove-config": "remove"}


def systemctl(*arguments: str) -> str:
    return subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, timeout=120, check=False
    ).stdout.strip()


def status() -> dict[str, str]:
    running = systemctl("is-active", UNIT) == "active"
    started = systemctl("show", "-p", "ExecMainStartTimestamp", UNIT).partition("=")[2] if running else ""
    return {
        "status": "running" if running else "stopped",
        "starttime": started,
        "configstatus": "configured" if paths.TOML.exists() else "not configured",
        "version": (paths.BIN / "CWAGENT_VERSION").read_text().strip(),
    }


def place(source: str) -> str | None:
    """Puts `file:PATH` into the drop-in folder as a .tmp file; says what is wrong otherwise."""
    kind, _, name = source.partition(":")
    if kind != "file":
        return f"'{source}' is not supported by the stand-in; use file:PATH"
    try:
        content = Path(name).read_text()
    except OSError as error:
        return f"reading {name}: {error}"
    (paths.JSON_FOLDER / f"file_{Path(name).name}.tmp").write_text(content)
    return None


def adopt(multi_config: str) -> None:
    """Renames and deletes drop-in files after they have been checked. `fetch-config` deletes everything that it did not bring."""
    if multi_config == "default":
        paths.JSON.unlink(missing_ok=True)
    for file in sorted(paths.JSON_FOLDER.iterdir()):
        if file.suffix == ".tmp":
            file.replace(file.with_suffix(""))
        elif multi_config == "default" and not file.with_name(file.name + ".tmp").exists():
            file.unlink()


def configure(action: str, source: str, restart: bool) -> int:
    if action == "remove-config":
        for file in (
            paths.JSON_FOLDER.iterdir() if source == "all" else [paths.JSON_FOLDER / f"file_{Path(source).name}"]
        ):
            file.unlink(missing_ok=True)
    else:
        error = place(source)
        if error:
            print(error, file=sys.stderr)
            return 1
    if any(paths.JSON_FOLDER.iterdir()):
        command: list[str | Path] = [
            paths.BIN / "config-translator",
            "--input",
            paths.JSON,
            "--input-dir",
            paths.JSON_FOLDER,
            "--output",
            paths.TOML,
        ]
        done = subprocess.run(
            [*command, "--mode", "ec2", "--multi-config", MULTI_CONFIG[action]], timeout=60, check=False
        )
        if done.returncode:
            return done.returncode
        adopt(MULTI_CONFIG[action])
    else:
        paths.TOML.unlink(missing_ok=True)
        paths.TOML.with_name(paths.YAML_NAME).unlink(missing_ok=True)
    if restart:
        systemctl("restart", UNIT)
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="amazon-cloudwatch-agent-ctl")
    parser.add_argument("-a", dest="action", required=True, choices=["start", "stop", "status", *MULTI_CONFIG])
    parser.add_argument("-m", dest="mode", default="ec2", choices=["ec2", "onPremise", "onPrem", "auto"])
    parser.add_argument("-c", dest="source", default="")
    parser.add_argument("-s", dest="restart", action="store_true")
    options = parser.parse_args(arguments)
    if options.action == "status":
        print(json.dumps(status(), indent=2))
    elif options.action == "start":
        systemctl("enable", UNIT)
        systemctl("restart", UNIT)
    elif options.action == "stop":
        systemctl("stop", UNIT)
    else:
        return configure(options.action, options.source, options.restart)
    return 0
