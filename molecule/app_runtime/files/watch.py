"""Asks ports for their version all the time. On SIGTERM it writes what it saw: rounds, rounds in which none answered, and versions."""

import json
import signal
import sys
import time
import urllib.request
from pathlib import Path

target, ports = sys.argv[1], sys.argv[2:]
seen = {"rounds": 0, "rounds_with_one_silent": 0, "rounds_with_none": 0, "versions": []}


def version(port: str):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=1) as answer:
            return json.load(answer)["version"]
    except OSError:
        return None


def finish(_signal: int, _frame: object) -> None:
    Path(target).write_text(json.dumps(seen))
    sys.exit(0)


signal.signal(signal.SIGTERM, finish)
while True:
    answers = [version(port) for port in ports]
    seen["rounds"] += 1
    seen["rounds_with_one_silent"] += answers.count(None) == 1
    seen["rounds_with_none"] += answers.count(None) == len(ports)
    seen["versions"] = sorted({*seen["versions"], *(answer for answer in answers if answer)})
    time.sleep(0.02)
