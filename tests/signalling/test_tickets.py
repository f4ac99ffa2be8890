"""Tickets: within the capacity, one to a person, their first user's for good."""

from typing import Any

import pytest

from signalling.errors import CommandError
from signalling.records import TicketRecord, TicketTerms
from signalling.tickets import Tickets

TERMS = TicketTerms(capacity=2, price=500, currency="EUR", transferable=True)


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CommandError) as refusal:
        call(*arguments, **named)
    return refusal.value.code


def issue(tickets: Tickets, number: str, identity: str) -> TicketRecord:
    return tickets.issue(number, identity, terms=TERMS, now_s=1.0).record


def test_a_ticket_admits_its_holder_and_nobody_else() -> None:
    tickets = Tickets()
    issue(tickets, "1", "bob")
    tickets.check("bob", TERMS)
    assert code_of(tickets.check, "eve", TERMS) == "ticket_needed"


def test_a_seat_that_was_revoked_can_be_sold_again() -> None:
    tickets = Tickets()
    issue(tickets, "1", "bob")
    issue(tickets, "2", "cleo")
    assert code_of(tickets.issue, "3", "dan", terms=TERMS, now_s=1.0) == "sold_out"
    tickets.revoke("1", 2.0)
    assert code_of(tickets.check, "bob", TERMS) == "ticket_needed"
    assert issue(tickets, "3", "dan").is_valid
    assert [record.ticket for record in tickets.listed()] == ["1", "2", "3"]


def test_one_to_a_person_however_they_come_by_it() -> None:
    tickets = Tickets()
    issue(tickets, "1", "bob")
    issue(tickets, "2", "cleo")
    assert code_of(tickets.issue, "3", "bob", terms=None, now_s=1.0) == "no_tickets"
    assert code_of(tickets.transfer, "1", "cleo", TERMS) == "has_ticket"
    assert tickets.held_by("bob") is not None


def test_the_first_join_makes_it_theirs_for_good() -> None:
    tickets = Tickets()
    issue(tickets, "1", "bob")
    assert tickets.use("bob", 5.0)[0].record.used_at_s == 5.0
    assert tickets.use("bob", 6.0) == []
    assert code_of(tickets.transfer, "1", "cleo", TERMS) == "ticket_used"


def test_a_transfer_moves_it_and_leaves_nothing_behind() -> None:
    tickets = Tickets()
    issue(tickets, "1", "bob")
    kept = tickets.transfer("1", "cleo", TERMS)
    assert kept.record.identity == "cleo"
    assert tickets.held_by("bob") is None
    after = Tickets([kept.record])
    after.check("cleo", TERMS)
    assert code_of(after.transfer, "nothing", "dan", TERMS) == "unknown_ticket"


def test_a_revoked_ticket_is_passed_on_by_nobody_and_revoked_once() -> None:
    tickets = Tickets()
    issue(tickets, "1", "bob")
    tickets.revoke("1", 2.0)
    assert tickets.revoke("1", 9.0).record.revoked_at_s == 2.0
    assert code_of(tickets.transfer, "1", "cleo", TERMS) == "ticket_revoked"
    assert code_of(tickets.transfer, "1", "cleo", TicketTerms()) == "not_transferable"
