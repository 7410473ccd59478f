from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils import fleet_journal as journal


def test_a_journal_survives_being_written_and_read() -> None:
    begun = journal.mark(journal.begin(None, "roll", "1.1.0"), "i-1", "done")
    assert journal.parse(journal.render(begun)) == begun


def test_no_parameter_means_no_journal() -> None:
    assert journal.parse(None) is None


def test_a_foreign_document_is_refused_instead_of_overwritten() -> None:
    with pytest.raises(journal.JournalError, match="not one of ours"):
        journal.parse('{"something": "else"}')


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
