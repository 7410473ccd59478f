"""RPM packages from laid-out directories: spec text, dependencies read from ELF files, rpmbuild, signature."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.run import run
from lab.standin.keys import OWNER, SigningKey

ELFDEPS = "/usr/lib/rpm/elfdeps"
HEADER = """\
%global _buildshell /bin/bash
%global debug_package %{nil}
%global __os_install_post %{nil}
%global __spec_clean_body %{nil}
%global __spec_clean_pre %{nil}
%global _build_id_links none
"""


@dataclass(frozen=True)
class Section:
    """One binary package of a spec. `files`: lines of its %files list."""

    name: str
    version: str
    release: str
    summary: str
    license: str
    files: tuple[str, ...]
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    scriptlets: Mapping[str, str] = field(default_factory=dict)


def file_line(root: Path, path: Path, owner: str, *, config: bool = False) -> str:
    """The %files line of `path` (under `root`), as it is there. `owner`: `0644 root root`, mode `-` keeps the file's own."""
    mode, user, group = owner.split()
    kind = "%dir " if path.is_dir() and not path.is_symlink() else ""
    if mode == "-" and not path.is_symlink():
        mode = f"{path.stat().st_mode & 0o7777:04o}"
    name = re.sub(r"[\\\[\]{}*]", "?", str(path.relative_to(root))).replace(
        "%", "%%"
    )  # rpm globs names, and knows no escape
    return f'%attr({mode},{user},{group}) {kind}{"%config(noreplace) " if config else ""}"/{name}"'


def elf_dependencies(kind: str, files: Iterable[Path]) -> tuple[str, ...]:
    """The sonames that ELF files provide or require (`kind`: `provides` | `requires`), as rpm writes them."""
    names = [str(file) for file in files if not file.is_symlink() and file.is_file() and _is_elf(file)]
    if not names:
        return ()
    done = run([ELFDEPS, f"--{kind}"], timeout=120, input="\n".join(names) + "\n")
    return tuple(sorted(set(done.stdout.split("\n")) - {""}))


def _is_elf(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"


def spec(sections: Iterable[Section], *, payload: str, noarch: bool = False) -> str:
    """A spec whose first section is its main package."""
    lines = [HEADER, f"%global _binary_payload {payload}\n"]
    for number, part in enumerate(sections):
        lines.append(f"Name: {part.name}\n" if number == 0 else f"\n%package -n {part.name}\n")
        lines += [
            f"Version: {part.version}\nRelease: {part.release}\nSummary: {part.summary}\nLicense: {part.license}\nAutoReqProv: no\n"
        ]
        lines += ["BuildArch: noarch\n"] if noarch and number == 0 else []
        lines += [f"Requires: {name}\n" for name in part.requires] + [f"Provides: {name}\n" for name in part.provides]
        tag = "" if number == 0 else f" -n {part.name}"
        lines += [f"\n%description{tag}\n{part.summary}\n"]
        lines += [f"\n%{name}{tag}\n{text}\n" for name, text in part.scriptlets.items()]
        lines += [f"\n%files{tag}\n", *(f"{line}\n" for line in part.files)]
    return "".join([*lines, "\n%clean\n:\n"])


def build(text: str, root: Path, work: Path, target: Path) -> None:
    """Runs rpmbuild on a spec whose files lie in `root`; the packages land in `target`. `work` is for rpmbuild's own files."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / "package.spec"
    file.write_text(text)
    defines = {
        "_topdir": work,
        "_rpmdir": target,
        "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "_unpackaged_files_terminate_build": "0",
        "__check_files": "%{nil}",
        "_dbpath": work / "rpmdb",
        "_smp_build_ncpus": "1",
    }
    options = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    machine = ["--target", platform.machine()]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    run(
        ["rpmbuild", "-bb", "--quiet", "--nodeps", *machine, *options, "--buildroot", root, file],
        timeout=600,
        env=environment,
    )


def sign(packages: Iterable[Path], key: SigningKey) -> None:
    """Signs packages in place."""
    defines = ["--define", f"_gpg_name {OWNER}", "--define", f"_gpg_path {key.home}", "--define", "__gpg /usr/bin/gpg"]
    environment = {**os.environ, "GNUPGHOME": str(key.home), "LC_ALL": "C.UTF-8"}
    with key.in_use():
        run(["rpmsign", *defines, "--addsign", *packages], timeout=300, env=environment)


def sign_detached(file: Path, key: SigningKey) -> None:
    """Signs any file: the armoured signature lies beside it as `.asc`."""
    with key.in_use():
        run(
            ["gpg", "--batch", "--homedir", key.home, "--local-user", OWNER, "--armor", "--detach-sign", file],
            timeout=60,
        )
