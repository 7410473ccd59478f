"""The command that runs a playbook again."""

from __future__ import annotations

import json
import shlex

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.command_line import again


def command(*argv: str, inventory: tuple[str, ...] = (), **named: object) -> str:
    return again(["/usr/bin/ansible-playbook", *argv], inventory, named)


def test_the_command_is_the_one_that_was_given() -> None:
    argv = (
        "-i",
        "inventory/prod",
        "ecommerce.fleet.roll",
        "-e",
        "fleet_release_version=2.4.1",
        "--vault-password-file",
        "~/pass word",
    )
    assert command(*argv) == "ansible-playbook " + shlex.join(argv)


def test_an_inventory_of_the_configuration_is_named() -> None:
    assert command("playbooks/roll.yml", inventory=("/srv/inventory/prod",)) == (
        "ansible-playbook -i /srv/inventory/prod playbooks/roll.yml"
    )


@pytest.mark.parametrize(
    "given",
    [
        ("-e", "fleet_os=al2"),
        ("-efleet_os=al2",),
        ("--extra-vars", "fleet_os=al2 fleet_batch=1"),
        ("--extra-vars=fleet_os=al2",),
        ("-e", '{"fleet_os": "al2"}'),
    ],
)
def test_a_variable_that_was_given_in_any_way_is_named_once(given: tuple[str, ...]) -> None:
    text = command("-i", "x", "roll.yml", *given, fleet_os="al2023")
    assert text.count("fleet_os") == 1
    assert "-e fleet_os=al2" in text and "al2023" not in text


def test_a_variable_that_was_not_given_is_named_where_it_must_be() -> None:
    assert command("-i", "x", "roll.yml", fleet_os="al2").endswith("roll.yml -e fleet_os=al2")


def test_what_is_no_plain_text_keeps_its_type() -> None:
    words = shlex.split(command("-i", "x", "roll.yml", "-e", '{"fleet_batch_size": 2, "fleet_note": "a b"}'))
    assert [json.loads(word) for word in words if word.startswith("{")] == [
        {"fleet_batch_size": 2},
        {"fleet_note": "a b"},
    ]


@pytest.mark.parametrize(
    "given", ["fleet_force=true fleet_os=al2", '{"fleet_force": true, "fleet_take_over": true, "fleet_os": "al2"}']
)
def test_what_was_meant_for_one_run_is_left_out(given: str) -> None:
    text = command("-i", "x", "roll.yml", "-e", given, "--check")
    assert text == "ansible-playbook -i x roll.yml -e fleet_os=al2"


def test_secrets_are_not_shown_and_files_are_named_unread() -> None:
    text = command("-i", "x", "roll.yml", "-e", "ansible_become_password=hunter2", "-e", "@secrets.yml")
    assert "hunter2" not in text
    assert "ansible_become_password" in text and "-e @secrets.yml" in text


@pytest.mark.parametrize(
    "given",
    [
        '{"app_runtime_environment": {"DB_PASSWORD": "hunter2"}}',
        '{"proxysql_users": [{"name": "shop", "password": "hunter2"}]}',
        "shop_database=mysql://shop:hunter2@db.internal/shop",
        "{shop_db_pwd: hunter2}",
        '{proxysql_admin: !vault "hunter2"}',
    ],
)
@pytest.mark.parametrize("option", [["-e"], ["--extra-vars"], ["--extra"], ["-vve"]])
def test_a_secret_is_shown_at_no_depth_and_by_no_way_to_write_the_option(option: list[str], given: str) -> None:
    text = command("-i", "x", "roll.yml", *option, given)
    assert "hunter2" not in text
    assert "(as before)" in text


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("{fleet_release_version: 2026-11-30}", "fleet_release_version=2026-11-30"),
        ("{fleet_release_version: !unsafe '2.4.1'}", "fleet_release_version=2.4.1"),
        ("{8080: web}", "8080=web"),
        ("{shop_limit: .inf}", '{"shop_limit": Infinity}'),
        ("{shop_time: 2026-11-30 12:30:00}", '{"shop_time": "2026-11-30 12:30:00"}'),
    ],
)
def test_whatever_ansible_takes_as_variables_the_command_can_name(given: str, named: str) -> None:
    assert shlex.split(command("-i", "x", "roll.yml", "-e", given)) == (
        ["ansible-playbook", "-i", "x", "roll.yml", "-e", named]
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["-vvi", "inventory/my prod"], ["-vv", "-i", "inventory/my prod"]),
        (["-i=inventory/prod", "-DCe", "a=b"], ["-i", "inventory/prod", "-D", "-e", "a=b"]),
        (["--inventory-f", "prod", "--chec"], ["-i", "prod"]),
        (["-CD", "-i", "prod", "-l", "web", "-t", "nginx"], ["-D", "-i", "prod", "-l", "web", "-t", "nginx"]),
        (
            ["-i", "prod", "--vault-id", "dev@prompt", "-J", "-e@my vars.yml"],
            ["-i", "prod", "--vault-id", "dev@prompt", "-J", "-e", "@my vars.yml"],
        ),
    ],
)
def test_options_are_read_as_ansible_playbook_reads_them(given: list[str], words: list[str]) -> None:
    assert shlex.split(command(*given, "roll.yml", inventory=("/of/the/configuration",))) == (
        ["ansible-playbook", *words, "roll.yml"]
    )
