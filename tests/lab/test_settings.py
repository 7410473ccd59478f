"""Where a lab keeps its things."""

from __future__ import annotations

import pytest

from lab.settings import Settings


@pytest.mark.parametrize("state", ["/var/lib/ecommerce-fleet/lab", f"/{'a' * 71}", f"/{'a' * 72}", f"/{'a' * 200}"])
def test_ssh_can_make_its_sockets_wherever_the_state_lies(state: str) -> None:
    folder = Settings.load({"LAB_STATE": state}).control_path_dir
    assert len(f"{folder}/0123456789.0123456789abcdef") <= 107
