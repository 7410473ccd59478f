"""Clients of one user (`shop`), all at once: each connects, asks one query and waits for its answer. Prints what came of it as JSON.

python3 clients.py PORT COUNT STATEMENT [USER]
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path

from proxysql_standin import protocol

CREDENTIALS = Path("/etc/fleet/secrets/proxysql.json")


def ask(port: int, user: str, password: str, statement: str) -> str:
    """The first field of the first row. Raises MySQLError, OSError."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        wire = protocol.log_in(sock, user, password)
        wire.sequence = 0
        wire.write(bytes([protocol.QUERY]) + statement.encode())
        first = wire.read()
        if first[0] == 0xFF:
            raise protocol.read_error(first)
        if first[0] == 0x00:
            return ""
        for _ in range(first[0] + 1):
            wire.read()
        row = wire.read()
        return row[1 : 1 + row[0]].decode()


def main() -> None:
    port, count, statement = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    user = sys.argv[4] if len(sys.argv) > 4 else "shop"
    secrets = json.loads(CREDENTIALS.read_text())
    password = secrets["admin"] if user == "admin" else secrets["users"][user]
    answers: list[str] = []
    failed: list[str] = []

    def work() -> None:
        try:
            answers.append(ask(port, user, password, statement))
        except (protocol.MySQLError, OSError) as error:
            failed.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"answers": answers, "failed": failed}))


if __name__ == "__main__":
    main()
