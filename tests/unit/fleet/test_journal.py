from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet import journal


def test_a_journal_survives_being_written_and_read() -> None:
    begun = journal.mark(journal.begin(None, "roll", "1.1.0"), "i-1", "done")
    assert journal.parse(journal.render(begun)) == begun


def test_a_host_that_is_to_be_taken_again_is_neither_done_nor_taken() -> None:
    known = journal.mark(journal.mark(journal.begin(None, "roll", "1.1.0"), "i-1", "done"), "i-2", "done")
    again = journal.mark(known, "i-1", "todo")
    assert (again.done, again.taken) == (["i-2"], [])
    assert journal.parse(journal.render(again)) == again
    assert journal.mark(again, "i-9", "todo").hosts == again.hosts


def test_no_parameter_means_no_journal() -> None:
    assert journal.parse(None) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"something": "else"}',
        "[]",
        "1.1.0",
        '{"operation": "roll", "subject": "1.1.0", "hosts": null}',
        '{"operation": "roll", "subject": "1.1.0", "hosts": {"i-1": "paused"}}',
        '{"operation": "roll", "subject": "1.1.0", "hosts": {"i-1": {}}}',
        '{"operation": "roll", "subject": 1.1}',
        '{"operation": "roll", "subject": "1.1.0", "status": "paused"}',
    ],
)
def test_a_foreign_document_is_refused_instead_of_overwritten(text: str) -> None:
    with pytest.raises(journal.JournalError, match="not one of ours"):
        journal.parse(text)


def test_the_same_unfinished_operation_is_resumed_with_what_is_done() -> None:
    stopped = journal.close(
        journal.mark(journal.begin(None, "roll", "1.1.0"), "i-1", "done"), journal.STOPPED, "i-2: no health"
    )
    resumed = journal.begin(stopped, "roll", "1.1.0")
    assert (resumed.status, resumed.done, resumed.message) == (journal.RUNNING, ["i-1"], "")


def test_another_operation_is_refused_while_one_is_unfinished() -> None:
    stopped = journal.close(journal.begin(None, "roll", "1.1.0"), journal.STOPPED, "i-2: no health")
    with pytest.raises(
        journal.JournalError, match=r"roll of 1\.1\.0 .* is not finished: i-2: no health.*fleet_force=true"
    ):
        journal.begin(stopped, "patch", "Install")


def test_an_unfinished_operation_can_be_given_up_on_purpose() -> None:
    stopped = journal.close(journal.begin(None, "roll", "1.1.0"), journal.STOPPED)
    assert journal.begin(stopped, "patch", "Install", force=True).operation == "patch"


def test_a_finished_operation_gives_way_to_the_next() -> None:
    finished = journal.close(journal.mark(journal.begin(None, "roll", "1.1.0"), "i-1", "done"), journal.FINISHED)
    assert journal.begin(finished, "roll", "1.1.0").done == []


def of_hosts(count: int, message: str) -> journal.Journal:
    begun = journal.begin(None, "roll", "1.1.0")
    for number in range(count):
        begun = journal.mark(begun, f"i-{number:017x}", "done")
    return journal.close(begun, journal.STOPPED, message)


@pytest.mark.parametrize("message", ["why " * 5000, "\u00fc\U0001f600" * 3000, '"\\\n' * 4000])
@pytest.mark.parametrize("count", [0, 3, 60])
def test_a_message_for_which_there_is_no_room_is_cut(message: str, count: int) -> None:
    text = journal.render(of_hosts(count, message))
    assert len(text.encode()) <= 4096
    kept = journal.parse(text)
    assert kept and len(kept.hosts) == count
    assert kept.message.endswith(" [cut]") and message.startswith(kept.message.removesuffix(" [cut]"))
    assert len(kept.message) > 100


def test_the_journal_of_a_large_fleet_is_longer_than_a_standard_parameter_and_keeps_the_reason() -> None:
    text = journal.render(of_hosts(150, "the reason" * 1000))
    assert 4096 < len(text) <= 8192
    assert "the reason" in text


def test_more_hosts_than_a_parameter_can_hold_are_refused() -> None:
    with pytest.raises(journal.JournalError, match="400 hosts"):
        journal.render(of_hosts(400, ""))


def test_an_abandoned_operation_leaves_its_hosts_in_standby_to_the_next() -> None:
    stopped = journal.mark(journal.begin(None, "roll", "1.1.0"), "i-1", "standby")
    assert journal.begin(journal.mark(stopped, "i-2", "done"), "patch", "Install", force=True).hosts == {
        "i-1": "standby"
    }


def test_a_journal_of_an_earlier_version_is_read() -> None:
    known = journal.parse('{"operation": "roll", "subject": "1.1.0", "hosts": {"i-1": "standby"}}')
    assert known and known.taken == ["i-1"] and not known.rebalancing_off
