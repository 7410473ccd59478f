from __future__ import annotations

import pytest

from plugins.module_utils.hardening.textfile import get, put, without_block, without_comments

INI = "[Journal]\n#Storage=auto\nCompress=yes\n\n[Other]\nStorage=none\n"


def test_a_commented_key_is_not_set() -> None:
    assert get(INI, "Storage", "Journal") is None


def test_a_key_belongs_to_its_section() -> None:
    assert get(INI, "Storage", "Other") == "none"


def test_the_last_of_several_values_counts() -> None:
    assert get("deny = 3\ndeny=5\n", "deny") == "5"


def test_a_new_key_is_put_at_the_end_of_its_section() -> None:
    assert put(INI, "Storage", "persistent", "Journal") == (
        "[Journal]\n#Storage=auto\nCompress=yes\nStorage=persistent\n\n[Other]\nStorage=none\n"
    )


def test_a_missing_section_is_made() -> None:
    assert put("", "Storage", "none", "Coredump") == "[Coredump]\nStorage=none\n"


def test_a_key_that_is_there_several_times_is_left_once() -> None:
    assert put("A\t1\nB\t2\nA\t3\n", "A", "9", separator=" ") == "A 9\nB\t2\n"


@pytest.mark.parametrize(("separator", "section"), [("=", None), (" ", None), (" = ", None), ("=", "Journal")])
def test_what_is_put_is_got_and_putting_it_again_changes_nothing(separator: str, section: str | None) -> None:
    once = put("x=1\n", "Key", "value", section, separator)
    assert get(once, "Key", section, separator) == "value"
    assert put(once, "Key", "value", section, separator) == once


def test_a_key_whose_name_begins_alike_is_another_one() -> None:
    assert get("minlen2 = 4\n", "minlen") is None


def test_our_block_is_taken_out_of_the_text() -> None:
    assert without_block("a\n# B\nours\n# E\nb\n", "# B", "# E") == ("a\nb\n", "ours\n")


def test_continued_lines_are_one_and_comments_none() -> None:
    assert without_comments("# no\nDefaults a, \\\n  b\n\n") == ["Defaults a,    b"]
