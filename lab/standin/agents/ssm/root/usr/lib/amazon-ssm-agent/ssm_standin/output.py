"""How the agent cuts output: by bytes, each field with words of its own."""

from __future__ import annotations

STANDARD_BYTES = 24000
"""Of StandardOutput and of StandardError; Systems Manager keeps 8000 characters of the latter."""
STANDARD_SUFFIX = b"--output truncated--"
OUTPUT_BYTES = 2500
"""Of Output, which has both."""
TITLE = b"\n----------ERROR-------\n"
OUT_CUT, ERROR_CUT = b"\n---Output truncated---", b"\n---Error truncated----"


def standard(content: bytes) -> str:
    """StandardOutput or StandardError. A character that the cut goes through becomes U+FFFD."""
    if len(content) >= STANDARD_BYTES:
        content = content[: STANDARD_BYTES - len(STANDARD_SUFFIX)] + STANDARD_SUFFIX
    return content.decode("utf-8", "replace")


def both(out: bytes, error: bytes) -> str:
    """Output: the beginning of each, where both are long half of the room for each."""
    title = TITLE if error else b""
    room = OUTPUT_BYTES - len(title)
    if len(out) + len(error) >= room:
        if len(out) > room // 2 and len(error) > room // 2:
            half = (room - len(OUT_CUT) - len(ERROR_CUT)) // 2
            out, error = out[:half] + OUT_CUT, error[:half] + ERROR_CUT
        elif len(out) <= room // 2:
            error = error[: room - len(ERROR_CUT) - len(out)] + ERROR_CUT
        else:
            out = out[: room - len(OUT_CUT) - len(error)] + OUT_CUT
    return (out + title + error).decode("utf-8", "replace")
