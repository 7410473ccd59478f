"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys

from proxysql_standin import front
from proxysql_standin.config import ConfigError

VERSION = "ProxySQL version 2.7.1-standin"


def main() -> int:
    parser = argparse.ArgumentParser(prog="proxysql", description="Stand-in for ProxySQL.")
    parser.add_argument("-c", "--config", default="/etc/proxysql.cnf")
    parser.add_argument("-f", "--foreground", action="store_true")
    parser.add_argument(
        "--initial",
        action="store_true",
        help="take the file; there is no database of settings here that could win over it",
    )
    parser.add_argument("--idle-threads", action="store_true")
    parser.add_argument("-V", "--version", action="version", version=VERSION)
    args = parser.parse_args()
    if not args.initial:
        print("proxysql: without --initial the real program ignores the file once it has a database", file=sys.stderr)
    try:
        front.start(args.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"proxysql: {error.strerror}: {args.config}", file=sys.stderr)
        return 1
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0
