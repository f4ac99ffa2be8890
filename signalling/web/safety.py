"""Reports and the audit trail, as the people of a space meet them. The operator's side is `signalling.web.operator`."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from signalling.app import Signalling
from signalling.cursors import Number, PageQuery, build_cursor, parse_cursor
from signalling.errors import CommandError
from signalling.permissions import caller_in, require, require_key
from signalling.reach import new_id
from signalling.resources import timestamp
from signalling.safety import AuditPage, FileReport, ReportReceipt, ReportRecord, audit_resource
from signalling.web.answers import json_answer
from signalling.web.bodies import read_json, read_query
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.queries import query_parameters
from signalling.webhooks import ReportTold

_SPACE: Final = "/v1/spaces/{space}"
_CODES: Final = ("missing_permission", "unknown_space")


async def _report(call: Call) -> Response:
    """Also of a space that has ended, and by who was removed from it: that may be what there is to report."""
    require_key(call.token, call.path("space"))
    found = await call.app.find_space(call.path("space"), call.token.identity)
    require(caller_in(call.token, found.id, host=found.host, live_role=None), "file_report")
    wanted = await read_json(call.request, FileReport, max_bytes=call.app.config.limits.body_bytes)
    if wanted.identity == call.token.identity:
        raise CommandError("bad_request", "one cannot report oneself")
    record = ReportRecord(
        report=new_id(),
        at_s=call.app.clock(),
        space=found.id,
        reporter=call.token.identity,
        identity=wanted.identity,
        reason=wanted.reason,
        text=wanted.text,
    )
    told = ReportTold(id=record.report, identity=record.identity, reason=record.reason)
    filed = call.app.reach.telling.happening("report.filed", space=found.id, told=told, now_s=record.at_s)
    async with call.app.reach.writing([filed]) as connection:
        await call.app.store.safety.write_report(connection, record)
    return json_answer(ReportReceipt(record.report, timestamp(record.at_s)), status=201)


async def _audit(call: Call) -> Response:
    require_key(call.token, call.path("space"))
    found = await call.app.find_space(call.path("space"), call.token.identity)
    require(caller_in(call.token, found.id, host=found.host, live_role=None), "read_audit")
    return await audit_page(call, found.id)


async def audit_page(call: Call, space: str | None) -> Response:
    """Of one space, or of all."""
    query = read_query(call.request, PageQuery)
    before = parse_cursor(query.cursor, Number)
    records, last = await call.app.store.safety.audit_page(space, before=before, limit=query.limit)
    following = build_cursor(last) if len(records) == query.limit else None
    return json_answer(AuditPage([audit_resource(record) for record in records], following))


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="POST",
            path=_SPACE + "/reports",
            handler=_report,
            summary="Report a person in the space, or the space itself, to the operator.",
            tag="safety",
            body=FileReport,
            is_body_required=True,
            is_creating=True,
            example={"reason": "harassment", "identity": "mallory", "text": "insults everyone who speaks"},
            answers=[Answer(201, "Filed; a number to refer to.", ReportReceipt)],
            codes=(*_CODES, "bad_request", "too_large", "unsupported_media_type"),
        ),
        Operation(
            method="GET",
            path=_SPACE + "/audit",
            handler=_audit,
            summary="What moderators did here: who, whom, when, why. For the host and the operator.",
            tag="safety",
            parameters=query_parameters(PageQuery),
            answers=[Answer(200, "The acts, newest first.", AuditPage)],
            codes=(*_CODES, "bad_request", "bad_cursor"),
        ),
    ]
