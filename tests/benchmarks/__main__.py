"""``make bench``: every benchmark prints its ratio against a named peer, measured in the same run, and writes build/bench/<name>.json."""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import connection, hardening_audit, site
from tests.benchmarks.lab import ROOT, BenchmarkError, Lab

BENCHMARKS = {"hardening_audit": hardening_audit, "site": site, "connection": connection}
OUT = ROOT / "build" / "bench"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which to run (default: all of {', '.join(BENCHMARKS)})"
    )
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        sys.exit(f"bench: unknown benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    try:
        with Lab(os_name="al2023") as lab:
            for name in names:
                with lab.hosts(BENCHMARKS[name].HOSTS) as hosts:
                    result = BENCHMARKS[name].measure(hosts)
                result.write(OUT)
                print(result, flush=True)
    except BenchmarkError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
