"""The tickets of one space: issued within its capacity, one to a person, checked at every join. A machine."""

from collections.abc import Iterable

import msgspec

from signalling.effects import KeepTicket
from signalling.errors import CommandError
from signalling.records import TicketRecord, TicketTerms


class Tickets:
    """Inputs return what must be kept, or raise a CommandError and change nothing."""

    def __init__(self, records: Iterable[TicketRecord] = ()) -> None:
        self._tickets = {record.ticket: record for record in records}
        self._held = {record.identity: record.ticket for record in self._tickets.values() if record.is_valid}

    def listed(self) -> list[TicketRecord]:
        """In the order of their issue, revoked ones included."""
        return list(self._tickets.values())

    def find(self, ticket: str) -> TicketRecord:
        """Raises CommandError `unknown_ticket`."""
        found = self._tickets.get(ticket)
        if found is None:
            raise CommandError("unknown_ticket", "this space has issued no such ticket")
        return found

    def held_by(self, identity: str) -> TicketRecord | None:
        """The ticket by which `identity` may come in."""
        held = self._held.get(identity)
        return None if held is None else self._tickets[held]

    def check(self, identity: str, terms: TicketTerms) -> None:
        """Raises CommandError `ticket_needed`."""
        if identity not in self._held:
            raise CommandError(
                "ticket_needed",
                f"{identity!r} has no ticket for this space",
                price=terms.price,
                currency=terms.currency,
            )

    def use(self, identity: str, now_s: float) -> list[KeepTicket]:
        """At a join; the first one makes it theirs for good."""
        held = self.held_by(identity)
        if held is None or held.used_at_s is not None:
            return []
        return [self._keep(msgspec.structs.replace(held, used_at_s=now_s))]

    def issue(self, ticket: str, identity: str, *, terms: TicketTerms | None, now_s: float) -> KeepTicket:
        """Raises CommandError `no_tickets`, `has_ticket`, `sold_out`."""
        if terms is None:
            raise CommandError("no_tickets", "nobody needs a ticket for this space")
        self._check_holds_none(identity)
        if terms.capacity is not None and len(self._held) >= terms.capacity:
            raise CommandError("sold_out", f"all {terms.capacity} tickets are taken", capacity=terms.capacity)
        return self._keep(TicketRecord(ticket=ticket, identity=identity, issued_at_s=now_s))

    def revoke(self, ticket: str, now_s: float) -> KeepTicket:
        """Once more is no error. Raises CommandError `unknown_ticket`."""
        found = self.find(ticket)
        if found.is_valid:
            self._held.pop(found.identity, None)
            found = msgspec.structs.replace(found, revoked_at_s=now_s)
        return self._keep(found)

    def transfer(self, ticket: str, identity: str, terms: TicketTerms | None) -> KeepTicket:
        """Raises CommandError `not_transferable`, `ticket_used`, `ticket_revoked`, `has_ticket`, `unknown_ticket`."""
        found = self.find(ticket)
        if terms is None or not terms.transferable:
            raise CommandError("not_transferable", "tickets of this space stay with whom they were issued to")
        if not found.is_valid:
            raise CommandError("ticket_revoked", "this ticket has been revoked")
        if found.used_at_s is not None:
            raise CommandError("ticket_used", "its holder has been in already, so it is theirs for good")
        self._check_holds_none(identity)
        self._held.pop(found.identity, None)
        return self._keep(msgspec.structs.replace(found, identity=identity))

    def _check_holds_none(self, identity: str) -> None:
        if identity in self._held:
            raise CommandError("has_ticket", f"{identity!r} has a ticket already; one admits one person")

    def _keep(self, record: TicketRecord) -> KeepTicket:
        self._tickets[record.ticket] = record
        if record.is_valid:
            self._held[record.identity] = record.ticket
        return KeepTicket(record)
