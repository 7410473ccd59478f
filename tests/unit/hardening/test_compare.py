from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.compare import accepted, desired_text, text


@pytest.mark.parametrize(
    ("found", "value", "accept", "good"),
    [
        ("no", "no", None, True),
        ("No", False, None, True),
        ("yes", False, None, False),
        ("300", 300, None, True),
        (None, "no", None, False),
        ("0", 300, {"at_least": 1, "at_most": 300}, False),
        ("300", 300, {"at_least": 1, "at_most": 300}, True),
        ("301", 300, {"at_least": 1, "at_most": 300}, False),
        ("1m", 60, {"at_most": 60}, False),
        ("INFO", "VERBOSE", {"one_of": ["VERBOSE", "INFO"]}, True),
        ("DEBUG", "VERBOSE", {"one_of": ["VERBOSE", "INFO"]}, False),
        ("aes128-ctr,aes256-ctr", "x", {"subset_of": ["aes256-ctr", "aes128-ctr"]}, True),
        ("aes128-ctr,3des-cbc", "x", {"subset_of": ["aes256-ctr", "aes128-ctr"]}, False),
    ],
)
def test_a_value_is_accepted_when_it_is_as_good_as_the_one_desired(
    found: str | None, value: Any, accept: dict[str, Any] | None, good: bool
) -> None:
    assert accepted(found, value, accept) is good


def test_an_unknown_condition_is_not_quietly_true() -> None:
    with pytest.raises(ValueError, match="unknown condition"):
        accepted("1", 1, {"around": 1})


def test_booleans_are_written_as_configuration_files_write_them() -> None:
    assert (text(True), text(False), text(900)) == ("yes", "no", "900")


def test_what_is_wanted_reads_as_a_sentence() -> None:
    assert desired_text(4, {"at_least": 1, "at_most": 4}) == "at least 1 and at most 4"
