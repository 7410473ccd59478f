"""What the role system renders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Render = Callable[..., str]
LOCKS = [{"name": "nginx", "version": "1:1.24.0-1.x"}, {"name": "curl", "version": "8.3.0-1.x"}]


@pytest.mark.parametrize(
    ("release", "lines"),
    [("2", ["0:curl-8.3.0-1.x.*", "1:nginx-1.24.0-1.x.*"]), ("2023", ["curl-0:8.3.0-1.x.*", "nginx-1:1.24.0-1.x.*"])],
)
def test_locks_are_written_in_the_form_of_the_releases_package_manager(
    render: Render, release: str, lines: list[str]
) -> None:
    text = render("system", "etc/versionlock.list.j2", release, system_package_locks=LOCKS)
    assert [line for line in text.splitlines() if not line.startswith("#")] == lines
