"""AWS keys in files, and what the metadata service's answers mean."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access import exposure

KEY, SECRET = "AKIA" + "Z7QW3RT5YU2IOP4A", "w" * 39 + "/"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (
            f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n",
            [(2, "access key id"), (3, "secret access key")],
        ),
        (f"export AWS_SECRET_ACCESS_KEY='{SECRET}'", [(1, "secret access key")]),
        (f'{{"awsSecretKey": "{SECRET}"}}', [(1, "secret access key")]),
        (f"# old: {KEY}", [(1, "access key id")]),
        ("aws_access_key_id = AKIAIOSFODNN7EXAMPLE", []),
        (f"key = ASIA{KEY[4:]}", []),
        (f"checksum {KEY}00", []),
        ("aws_secret_access_key = {{ vault }}", []),
    ],
)
def test_keys_are_found_by_line_and_what_only_looks_like_one_is_not(text: str, kinds: list[tuple[int, str]]) -> None:
    assert [(found["line"], found["kind"]) for found in exposure.credentials_in(text)] == kinds


def test_the_usual_files_of_homes_and_all_of_etc_are_searched(tmp_path: Path) -> None:
    for name in ("root/.aws/credentials", "home/a/.bash_history", "etc/sysconfig/shop", "etc/pki/key", "home/a/notes"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{KEY}\n")
    (tmp_path / "etc/binary").write_bytes(b"\0" + KEY.encode())
    (tmp_path / "etc/link").symlink_to(tmp_path / "etc/sysconfig/shop")
    (tmp_path / "etc/big").write_text(KEY + "\n" * exposure.LARGEST_BYTES)
    found = exposure.static_credentials(["/root", "/home/a", "/root", "/home/gone"], str(tmp_path))
    assert [item["path"] for item in found] == [
        "/home/a/.bash_history",
        "/root/.aws/credentials",
        "/etc/sysconfig/shop",
    ]
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("tokens_required", "hops", "parts"),
    [
        (True, 1, []),
        (False, 1, ["IMDSv1"]),
        (True, 2, ["2 hops"]),
        (True, None, ["could not be seen"]),
        (False, 64, ["IMDSv1", "64 hops"]),
    ],
)
def test_metadata_is_open_too_wide_where_version_1_or_more_hops_are_allowed(
    tokens_required: bool, hops: int | None, parts: list[str]
) -> None:
    violations = exposure.metadata_violations(tokens_required, hops)
    assert len(violations) == len(parts)
    assert all(part in violation for part, violation in zip(parts, violations, strict=True))


def packet(source: str, payload: bytes, hops: int) -> bytes:
    return (
        struct.pack(">8xBBH4s4s", hops, 6, 0, socket.inet_aton(source), socket.inet_aton("10.0.0.5"))
        + b"t" * 20
        + payload
    )


def test_only_the_packet_that_brings_the_token_tells_the_hop_limit() -> None:
    address, token = "169.254.169.254", "AQAEtoken=="
    assert exposure.time_to_live(packet(address, b"200 OK\r\n\r\nAQAEtoken==", 3), address, token) == 3
    assert exposure.time_to_live(packet(address, b"200 OK\r\n\r\n", 64), address, token) is None
    assert exposure.time_to_live(packet("10.0.0.9", b"AQAEtoken==", 64), address, token) is None
    assert exposure.time_to_live(b"short", address, token) is None
