from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.text import (
    get,
    lines_of,
    put,
    spelled,
    without_block,
    without_comments,
)

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


BEGIN, END = "# BEGIN ours", "# END ours"


@pytest.mark.parametrize(
    ("content", "outside", "block"),
    [
        (f"a\n{BEGIN}\nx\n{END}\nb\n", "a\nb\n", "x\n"),
        (f"a\r\n{BEGIN}\r\nx\r\n{END}\r\nb", "a\nb\n", "x\n"),
        (f"a\n{BEGIN}\nMatch User b\n  X y\n", f"a\n{BEGIN}\nMatch User b\n  X y\n", ""),
        (f"{BEGIN}\nlost\n{BEGIN}\nx\n{END}\nb\n", f"{BEGIN}\nlost\nb\n", "x\n"),
        (f"{END}\na\n", f"{END}\na\n", ""),
    ],
)
def test_a_block_is_what_lies_between_its_two_lines_and_nothing_else(content: str, outside: str, block: str) -> None:
    assert without_block(content, BEGIN, END) == (outside, block)


def test_a_line_ends_at_a_line_feed_only() -> None:
    odd = "a=1 \u2028b=2\x0cc\x85d\x1ce\r\nf=2\n"
    assert lines_of(odd) == ["a=1 \u2028b=2\x0cc\x85d\x1ce", "f=2"]
    assert put(odd, "f", "3") == odd.replace("\r\n", "\n").replace("f=2", "f=3")


def test_a_key_in_any_case_is_one_key() -> None:
    assert spelled("# Max = 1\n MAX= 2\nmaximum = 3\nMax\n", "max") == "# Max = 1\n max= 2\nmaximum = 3\nmax\n"
