"""config-translator: checks the JSON configuration and writes what the agent runs on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudwatch_standin import config, paths

NO_CONFIG = 99
"""The real translator's exit code when there is no JSON file at all."""


def translate(single: Path | None, folder: Path | None, output: Path, mode: str) -> None:
    """Raises ConfigError when the configuration is wrong and FileNotFoundError when there is none."""
    document = config.read(single, folder, mode)
    if document is None:
        raise FileNotFoundError(f"no json config file in {single} and {folder}")
    problems = config.problems(document)
    if problems:
        raise config.ConfigError(*problems)
    translated = output.with_name(paths.YAML_NAME)
    translated.write_text(json.dumps(document, indent=2) + "\n")
    interval = document.get("agent", {}).get("metrics_collection_interval", 60)
    output.write_text(
        f'# Written by config-translator (stand-in).\n[agent]\ninterval = "{interval}s"\npipelines = "{translated.name}"\n'
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="config-translator")
    for option in ("input", "input-dir", "output", "config", "os"):
        parser.add_argument(f"--{option}", f"-{option}", type=Path, default=None)
    parser.add_argument("--mode", "-mode", choices=["ec2", "onPremise", "onPrem", "auto"], default="ec2")
    parser.add_argument("--multi-config", "-multi-config", choices=["default", "append", "remove"], default="remove")
    options = parser.parse_args(arguments)
    if options.output is None:
        parser.error("--output is needed")
    try:
        translate(options.input, options.input_dir, options.output, options.multi_config)
    except FileNotFoundError as error:
        print(f"E! {error}", file=sys.stderr)
        return NO_CONFIG
    except config.ConfigError as error:
        print("E! Invalid Json input schema.\nConfiguration validation first phase failed.", file=sys.stderr)
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"E! writing {options.output}: {error}", file=sys.stderr)
        return 1
    print("I! Valid Json input schema.\nConfiguration validation first phase succeeded")
    return 0
