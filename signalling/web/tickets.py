"""The tickets of a space. Payment is the operator's: it issues and revokes by this API."""

import secrets
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from signalling.app import Signalling
from signalling.effects import KeepAudit
from signalling.errors import CommandError
from signalling.permissions import permits, require
from signalling.resources import TicketFor, TicketList, TicketResource, ticket_resource
from signalling.safety import AuditRecord
from signalling.web.answers import json_answer
from signalling.web.bodies import read_json
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.stage import IN_SPACE

TICKET_ID_BYTES: Final = 12
"""96 bits: nobody guesses another's, though a ticket is bound to a person and its id opens nothing."""

_TICKETS: Final = "/v1/spaces/{space}/tickets"
_TICKET: Final = "/v1/spaces/{space}/tickets/{ticket}"
_BODY: Final = ("bad_request", "too_large", "unsupported_media_type")


async def _issue(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "issue_ticket")
    wanted = await read_json(call.request, TicketFor, max_bytes=call.app.config.limits.body_bytes)
    issued, effects = space.on_issue_ticket(secrets.token_hex(TICKET_ID_BYTES), wanted.identity, call.app.clock())
    await call.app.carry_out(space, effects)
    headers = {"Location": f"/v1/spaces/{space.id}/tickets/{issued.ticket}"}
    return json_answer(ticket_resource(issued), status=201, headers=headers)


async def _list(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "read_tickets")
    return json_answer(TicketList([ticket_resource(record) for record in space.tickets.listed()]))


async def _read(call: Call) -> Response:
    """For its holder too."""
    space = await call.space()
    caller = call.caller(space)
    found = space.tickets.find(call.path("ticket"))
    if found.identity != caller.identity:
        require(caller, "read_tickets")
    return json_answer(ticket_resource(found))


async def _revoke(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "revoke_ticket")
    revoked, effects = space.on_revoke_ticket(call.path("ticket"), call.app.clock())
    entry = AuditRecord(
        at_s=call.app.clock(), space=space.id, action="revoke_ticket", by=call.token.identity, upon=revoked.identity
    )
    await call.app.carry_out(space, [*effects, KeepAudit(entry)])
    return json_answer(ticket_resource(revoked))


async def _transfer(call: Call) -> Response:
    """By its holder, or by who may issue."""
    space = await call.space()
    caller = call.caller(space)
    require(caller, "transfer_ticket")
    wanted = await read_json(call.request, TicketFor, max_bytes=call.app.config.limits.body_bytes)
    found = space.tickets.find(call.path("ticket"))
    if found.identity != caller.identity and not permits(caller.standings, "issue_ticket"):
        raise CommandError("unknown_ticket", "there is no such ticket, or it is somebody else's")
    passed, effects = space.on_transfer_ticket(found.ticket, wanted.identity)
    await call.app.carry_out(space, effects)
    return json_answer(ticket_resource(passed))


def operations(_: Signalling) -> Sequence[Operation]:
    one = [Answer(200, "The ticket.", TicketResource)]
    in_ticket = (*IN_SPACE, "unknown_ticket")
    return [
        Operation(
            method="POST",
            path=_TICKETS,
            handler=_issue,
            summary="Issue a ticket to a person.",
            tag="tickets",
            body=TicketFor,
            is_body_required=True,
            is_creating=True,
            example={"identity": "bob"},
            answers=[Answer(201, "The ticket.", TicketResource, headers=("Location",))],
            codes=(*IN_SPACE, "no_tickets", "has_ticket", "sold_out", *_BODY),
        ),
        Operation(
            method="GET",
            path=_TICKETS,
            handler=_list,
            summary="All tickets of the space, revoked ones included.",
            tag="tickets",
            answers=[Answer(200, "The tickets.", TicketList)],
            codes=IN_SPACE,
        ),
        Operation(
            method="GET",
            path=_TICKET,
            handler=_read,
            summary="One ticket, for its holder or who may issue.",
            tag="tickets",
            answers=one,
            codes=in_ticket,
        ),
        Operation(
            method="POST",
            path=_TICKET + "/revoke",
            handler=_revoke,
            summary="Make a ticket void; who came in by it is put out.",
            tag="tickets",
            answers=one,
            codes=(*in_ticket, "sfu_unavailable"),
        ),
        Operation(
            method="POST",
            path=_TICKET + "/transfer",
            handler=_transfer,
            summary="Pass a ticket on, where the space allows it and it has not been used.",
            tag="tickets",
            body=TicketFor,
            is_body_required=True,
            example={"identity": "cleo"},
            answers=one,
            codes=(*in_ticket, "not_transferable", "ticket_used", "ticket_revoked", "has_ticket", *_BODY),
        ),
    ]
