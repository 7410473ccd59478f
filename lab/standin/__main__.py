"""`python -m lab.standin al2|al2023 …`: builds the stand-ins and their repositories into the cache and prints where they are."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from lab.errors import LabError
from lab.standin.build import base_image, repository


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.standin", description=__doc__)
    parser.add_argument("systems", nargs="+", choices=["al2", "al2023"])
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("LAB_CACHE", "/var/cache/ecommerce-fleet")))
    args = parser.parse_args()
    start = time.monotonic()

    def progress(message: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {message}", file=sys.stderr, flush=True)

    try:
        for system in args.systems:
            print(base_image(system, args.cache, progress))
            print(repository(system, args.cache, progress))
    except LabError as error:
        print(f"standin: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
