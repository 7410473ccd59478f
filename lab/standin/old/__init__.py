"""Makes the Amazon Linux 2 stand-in's programs refuse what the real, older ones refuse. What those know: versions.toml, with sources."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REAL = "/usr/libexec/standin"
"""Where the programs themselves are then, for a test that needs what only they can do."""
GENERATOR = "/usr/lib/systemd/system-generators/standin-directives"
LISTS = ("options", "short", "verbs", "properties", "keywords", "algorithms", "newer_algorithms")


def versions() -> dict[str, dict[str, Any]]:
    """The table: program → what it knows."""
    return tomllib.loads((HERE / "versions.toml").read_text())


def packages() -> set[str]:
    """The RPMs that bring one of the programs."""
    return {entry["package"] for entry in versions().values() if "package" in entry}


def age(root: Path) -> None:
    """Puts the older program in front of each that is in `root`; what was there lies below REAL then."""
    for name, entry in versions().items():
        if name == "units" or not (root / entry["path"].lstrip("/")).is_file():
            continue
        place, real = root / entry["path"].lstrip("/"), root / REAL.lstrip("/") / name
        real.parent.mkdir(parents=True, exist_ok=True)
        place.rename(real)
        place.write_text(program(name))
        place.chmod(0o755)


def add_generator(root: Path) -> None:
    """Has systemd's log say of a unit what the older one would say."""
    place = root / GENERATOR.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(directives())
    place.chmod(0o755)


def program(name: str, real: str = "") -> str:
    """The text of the program in front of `name`; `real`: where the program itself is."""
    entry = versions()[name]
    words = {key: " ".join(entry.get(key, "").split()) for key in LISTS}
    words |= {"name": name, "path": entry["path"], "version": entry["version"], "real": real or f"{REAL}/{name}"}
    words |= {
        "first": str(entry.get("first", False)).lower(),
        "refused": " ".join(map(shlex.quote, entry.get("refused", []))),
    }
    return _filled(entry["form"], words)


def directives() -> str:
    """The text of the program that looks for directives that the older systemd does not know."""
    units = versions()["units"]
    common = " ".join(units["exec"].split())
    known = [
        f'      known["{section}"] = " {" ".join(names.split()).replace("exec", common)} "'
        for section, names in units["sections"].items()
    ]
    unread = [f'      unread["{name}"] = "{pattern}"' for name, pattern in units["values"].items()]
    return _filled("directives.sh", {"version": units["version"], "known": "\n".join(known + unread)})


def _filled(form: str, words: dict[str, str]) -> str:
    text = (HERE / form).read_text().replace("@arguments@\n", (HERE / "arguments.sh").read_text())
    for key, value in words.items():
        text = text.replace(f"@{key}@", value)
    return text
