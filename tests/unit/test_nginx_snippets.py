"""Snippets are read as nginx reads them, and keep what their own directives would drop."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.nginx_snippets import (
    completed,
    directives,
    files_read,
    with_own,
)
from hypothesis import given
from hypothesis import strategies as st

ROLE = """add_header X-Frame-Options "SAMEORIGIN" always;
add_header HSTS $hsts always;
error_page 503 =503 /f;
proxy_set_header Host $host;"""


def words(content: str) -> list[object]:
    """Names and parameters as a tree."""

    def tree(found: object) -> list[object]:
        return [(each.words, tree(each.block) if each.block is not None else None) for each in found]  # type: ignore[attr-defined]

    return tree(directives(content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("# only { a comment ;\n", []),
        ("gzip on;", [(("gzip", "on"), None)]),
        ("a 'b; }' \"c \\\" {\";", [(("a", "b; }", 'c \\" {'), None)]),
        ("a b#c d; # x }\ne;", [(("a", "b#c", "d"), None), (("e",), None)]),
        ("location ~ \\.php$ { return 200 ${uri}x; }", [(("location", "~", "\\.php$"), [(("return", "200", "${uri}x"), None)])]),
        ("if ($a ~* \"b{2}\") { c 'd'; }", [(("if", "($a", "~*", "b{2}", ")"), [(("c", "d"), None)])]),
        ("map $a $b { default 0; '~^x' 1; }", [(("map", "$a", "$b"), [(("default", "0"), None), (("~^x", "1"), None)])]),
        ("a\\;b c;", [(("a\\;b", "c"), None)]),
    ],
)  # fmt: skip
def test_directives_are_read_with_quotes_comments_blocks_and_escapes(content: str, expected: list[object]) -> None:
    assert words(content) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("gzip on", "'gzip' is not closed"),
        ("a;\n}", "'}' stands where a directive should begin"),
        ("location / { a;", "'location' is not closed"),
        ("location / { a }", "'}' stands where a directive should end"),
        ("a;\n\nb 'c;", "line 3 has a quote that is not closed"),
        (";", "';' stands where"),
        ("{ a; }", "'{' stands where"),
    ],
)
def test_what_nginx_could_not_read_is_named(content: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        directives(content)


def test_a_location_with_a_header_of_its_own_has_the_others_too() -> None:
    content = "location /a/ {\n    expires 1h;\n    add_header x-frame-options DENY;\n    add_header B 1;\n}\nlocation /b/ { return 204; }"
    assert completed(content, ROLE) == content.replace(
        "    add_header x", "    add_header HSTS $hsts always;\n    add_header x"
    )


def test_blocks_in_blocks_and_each_directive_count_for_themselves() -> None:
    content = 'location / { if ($a) { add_header B "x;}"; } error_page 404 /x; proxy_set_header X-C 1; }'
    assert words(completed(content, ROLE)) == words(
        "location / { if ($a) { add_header X-Frame-Options SAMEORIGIN always; add_header HSTS $hsts always; add_header B 'x;}'; }"
        "error_page 503 =503 /f; error_page 404 /x; proxy_set_header Host $host; proxy_set_header X-C 1; }"
    )


def test_a_code_or_header_that_a_block_sets_itself_stays_its_own() -> None:
    content = "location / { error_page 500 503 /x; proxy_set_header host a; add_header X-Frame-Options ''; add_header hsts ''; }"
    assert completed(content, ROLE) == content


def test_what_is_directly_in_the_context_and_other_blocks_stay_as_they_are() -> None:
    content = "add_header A 1;\nmap $a $b { add_header 1; }\ntypes { add_header x; }"
    assert completed(content, ROLE) == content


def test_headers_directly_in_http_or_server_are_kept_where_the_role_has_its_own() -> None:
    snippets = [
        {"context": "http", "content": "add_header A 1;\nadd_header hsts 2;"},
        {"context": "server", "content": "add_header X-Frame-Options DENY; gzip on;"},
    ]
    role = "\n".join(ROLE.splitlines()[:2])
    assert with_own(role, snippets, "http") == ROLE.splitlines()[0]
    assert with_own(role, snippets, "server") == "add_header A 1;\nadd_header hsts 2;"
    assert (
        with_own(role, snippets, "location") == "add_header A 1;\nadd_header hsts 2;\nadd_header X-Frame-Options DENY;"
    )
    assert with_own(role, [], "location") == role


@given(st.text(st.sampled_from("ab {};\"'\\$#\n"), max_size=30))
def test_any_text_is_read_or_refused_and_completed_twice_is_as_once(content: str) -> None:
    wrapped = f"location / {{ add_header A 1; {content} }}"
    try:
        directives(wrapped)
    except ValueError:
        return
    once = completed(wrapped, ROLE)
    assert completed(once, ROLE) == once
    assert once.endswith(content + " }")


def test_files_that_are_read_only_once_are_found_wherever_they_stand() -> None:
    content = """include conf.d/*.conf; server { ssl_certificate "/etc/a b.pem"; ssl_certificate_key /etc/a.key; ssl_certificate $name.pem;
    ssl_certificate_key engine:pkcs11:id; location / { proxy_ssl_trusted_certificate ca.pem; auth_basic_user_file /etc/htpasswd; } }"""
    snippets = [{"context": "http", "content": content}, {"context": "server", "content": "ssl_dhparam /etc/dh.pem;"}]
    expected = ["/etc/a b.pem", "/etc/a.key", "/etc/dh.pem", "/etc/nginx/ca.pem", "/etc/nginx/conf.d/*.conf"]
    assert files_read(snippets) == expected
