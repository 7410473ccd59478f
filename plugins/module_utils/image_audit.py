"""The hardening controls on a host that only Systems Manager reaches: the engine goes there by Run Command, its answer comes back.

A command carries and prints less than the engine and its answer are long, so both travel in pieces. Control node only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any

from .image_plan import ImageError

PIECE = 20_000
FOLDER = "/run/fleet-audit"
# Amazon Linux 2 has Python 2.7 only. The digest is of what was sent: pieces arrive by separate commands.
RUN = r"""
set -eu
cd {folder}
python=$(command -v python3 || command -v python2.7 || command -v python)
echo "{digest}  program" | sha256sum --check --quiet
base64 -d program | "$python" -c 'import sys, zlib
source, target = (getattr(stream, "buffer", stream) for stream in (sys.stdin, sys.stdout))
target.write(zlib.decompress(source.read()))' >program.zip
"$python" program.zip >answer
echo "$(wc -c <answer) $(sha256sum <answer | cut -d" " -f1)"
"""


def audit(run: Callable[[str], str], program: str) -> dict[str, Any]:
    """What the engine answers on the host. ``run`` runs a script there and returns what it printed; ``program`` is base64.

    Raises ImageError if the program did not arrive, could not run, or its answer did not come back whole.
    """
    for number, piece in enumerate(_pieces(program)):
        begin = f"umask 077\nrm -rf {FOLDER}\nmkdir {FOLDER}\n" if number == 0 else ""
        run(f"{begin}printf %s {piece} >>{FOLDER}/program")
    digest = hashlib.sha256(program.encode("ascii")).hexdigest()
    said = run(RUN.format(folder=FOLDER, digest=digest)).split()
    if len(said) != 2 or not said[0].isdigit():
        raise ImageError(f"the hardening audit ended without an answer: {' '.join(said) or 'no output'}")
    size, wanted = int(said[0]), said[1]
    parts = [run(f"tail -c +{at + 1} {FOLDER}/answer | head -c {PIECE}") for at in range(0, size, PIECE)]
    run(f"rm -rf {FOLDER}")
    return _read("".join(part.strip() for part in parts), wanted)


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _read(text: str, wanted: str) -> dict[str, Any]:
    if hashlib.sha256(f"{text}\n".encode("ascii")).hexdigest() != wanted:
        raise ImageError("the answer of the hardening audit did not come back whole; publish again")
    answer: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    if "error" in answer:
        raise ImageError(f"the hardening audit could not be made: {answer['error']}")
    return answer
