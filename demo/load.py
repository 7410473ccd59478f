"""Steady load on the shop that checks every answer, not only its status.

Open loop: requests start on schedule whether or not earlier ones came back, so that a stall shows as latency and not as
silence. Run inside the lab's network, ``lab run python -m demo.load --url http://… --out build/demo/load.csv …``; ends on
SIGTERM or after ``--seconds``.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

FIELDS = ("at", "seconds", "path", "status", "verdict", "version", "host")
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Sample:
    """One request: ``at`` is its scheduled start (Unix time), ``seconds`` its duration from then; ``verdict`` ok, failed or wrong."""

    at: float
    seconds: float
    path: str
    status: int
    verdict: str
    version: str = ""
    host: str = ""


def verdict_of(path: str, status: int, body: str, versions: frozenset[str]) -> tuple[str, str, str]:
    """Verdict, version and host of an answer. Wrong: a 200 that is not the shop's, or of a release that should not exist."""
    if status != 200:
        return "failed", "", ""
    if path == "/version":
        try:
            answer = json.loads(body)
            version, host = str(answer["version"]), str(answer["host"])
        except (ValueError, KeyError, TypeError):
            return "wrong", "", ""
        return ("ok" if version in versions else "wrong"), version, host
    complete = "</html>" in body and any(version in body for version in versions)
    return ("ok" if complete else "wrong"), "", ""


async def ask(session: aiohttp.ClientSession, url: str, path: str, at: float, versions: frozenset[str]) -> Sample:
    start = time.time()
    try:
        async with session.get(url + path) as response:
            body = await response.text()
            verdict, version, host = verdict_of(path, response.status, body, versions)
            return Sample(at, time.time() - at, path, response.status, verdict, version, host)
    except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError) as error:
        print(f"{start:.3f} {path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return Sample(at, time.time() - at, path, 0, "failed")


async def run(url: str, rate: float, seconds: float, versions: frozenset[str], out: Path) -> None:
    """Send ``rate`` requests a second until told to stop, then wait for the last answers."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    loop.call_later(seconds, stop.set)
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)

        def record(task: asyncio.Task[Sample]) -> None:
            pending.discard(task)
            s = task.result()
            writer.writerow([f"{s.at:.4f}", f"{s.seconds:.4f}", s.path, s.status, s.verdict, s.version, s.host])

        pending: set[asyncio.Task[Sample]] = set()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=256, keepalive_timeout=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            begin, number = time.time(), 0
            # Not in turn: behind a round robin over two hosts every /version would go to the same one.
            pick = random.Random(0)  # noqa: S311 - a mixture, not a secret
            while not stop.is_set():
                at = begin + number / rate
                if (delay := at - time.time()) > 0:
                    await asyncio.sleep(delay)
                path = pick.choice(("/", "/version"))
                task = asyncio.create_task(ask(session, url, path, at, versions))
                pending.add(task)
                task.add_done_callback(record)
                number += 1
            if pending:
                await asyncio.wait(pending, timeout=TIMEOUT_SECONDS + 1)


def read(path: Path) -> list[Sample]:
    """The samples of a finished run."""
    with path.open(newline="") as file:
        return [
            Sample(
                float(r["at"]), float(r["seconds"]), r["path"], int(r["status"]), r["verdict"], r["version"], r["host"]
            )
            for r in csv.DictReader(file)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m demo.load", description="Steady load on the shop that checks every answer."
    )
    parser.add_argument("--url", required=True, help="where the shop is, without a path")
    parser.add_argument("--out", type=Path, required=True, help="CSV file, a line a request")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop by itself after so long (default: 600)")
    parser.add_argument("--version", action="append", required=True, help="a release that may answer; repeat for more")
    options = parser.parse_args()
    asyncio.run(run(options.url, options.rate, options.seconds, frozenset(options.version), options.out))


if __name__ == "__main__":
    main()
