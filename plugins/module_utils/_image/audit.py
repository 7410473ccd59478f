# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
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

from .plan import ImageError
from .scripts import with_values

PIECE = 20_000
FOLDER = "/run/fleet-audit"


def audit(run: Callable[[str], str], program: str, script: str) -> dict[str, Any]:
    """What the engine answers on the host.

    ``run`` runs a script there and returns its output; ``program`` is base64; ``script`` (ssm/scripts/image_audit.sh) starts it. Raises
    ImageError if the program did not arrive, could not run, or its answer did not come back whole.
    """
    for number, piece in enumerate(_pieces(program)):
        begin = f"umask 077\nrm -rf {FOLDER}\nmkdir {FOLDER}\n" if number == 0 else ""
        run(f"{begin}printf %s {piece} >>{FOLDER}/program")
    digest = hashlib.sha256(program.encode("ascii")).hexdigest()
    output = run(with_values(script, FOLDER=FOLDER, DIGEST=digest)).split()
    if len(output) != 2 or not output[0].isdigit():
        raise ImageError(f"the hardening audit ended without an answer: {' '.join(output) or 'no output'}")
    size, expected = int(output[0]), output[1]
    parts = [run(f"tail -c +{at + 1} {FOLDER}/answer | head -c {PIECE}") for at in range(0, size, PIECE)]
    run(f"rm -rf {FOLDER}")
    return _read("".join(part.strip() for part in parts), expected)


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _read(text: str, expected: str) -> dict[str, Any]:
    if hashlib.sha256(f"{text}\n".encode("ascii")).hexdigest() != expected:
        raise ImageError("the answer of the hardening audit did not come back whole; publish again")
    answer: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    if "error" in answer:
        raise ImageError(f"the hardening audit could not be made: {answer['error']}")
    return answer
