"""`/v1/operator`: what the operator of the server may do in all spaces and to everyone (`palco: {operator: true}`)."""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct
from starlette.responses import Response

from signalling.app import Signalling
from signalling.cursors import DEFAULT_LIMIT, CursorText, KeyText, Limit, PageQuery, build_cursor, parse_cursor
from signalling.errors import PeerError
from signalling.operating import Operator, operator
from signalling.permissions import Action, caller_at_large, require
from signalling.resources import WithReason
from signalling.safety import (
    AuditPage,
    BanList,
    BanResource,
    ReportPage,
    ReportResource,
    ResolveReport,
    ban_resource,
    report_resource,
)
from signalling.tokens import MAX_IDENTITY_CHARACTERS
from signalling.web.answers import empty, json_answer
from signalling.web.bodies import read_json, read_query
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.queries import query_parameters
from signalling.web.safety import audit_page

_OPERATOR: Final = "/v1/operator"
_BODY: Final = ("bad_request", "too_large", "unsupported_media_type")
_PAGE: Final = ("missing_permission", "bad_request", "bad_cursor")


class ReportQuery(Struct, frozen=True, forbid_unknown_fields=True):
    state: Literal["open", "resolved", "all"] = "open"
    cursor: CursorText = ""
    limit: Limit = DEFAULT_LIMIT


def checked_identity(call: Call) -> str:
    """Of the path. Raises PeerError `bad_request` for what no token can say."""
    identity = call.path("identity")
    if not 1 <= len(identity) <= MAX_IDENTITY_CHARACTERS or not identity.isprintable():
        raise PeerError("bad_request", f"an identity has 1 to {MAX_IDENTITY_CHARACTERS} printable characters")
    return identity


def require_operator(call: Call, action: Action) -> None:
    """Raises CommandError `missing_permission`."""
    require(caller_at_large(call.token), action)


def _acts(call: Call) -> Operator:
    return operator(call.app, call.token)


async def _why(call: Call) -> str:
    body = await read_json(call.request, WithReason, max_bytes=call.app.config.limits.body_bytes)
    return body.reason


async def _reports(call: Call) -> Response:
    require_operator(call, "read_reports")
    query = read_query(call.request, ReportQuery)
    state = None if query.state == "all" else query.state
    after = parse_cursor(query.cursor, tuple[float, KeyText])
    records = await call.app.store.safety.report_page(state, after=after, limit=query.limit)
    following = build_cursor((records[-1].at_s, records[-1].report)) if len(records) == query.limit else None
    return json_answer(ReportPage([report_resource(record) for record in records], following))


async def _resolve(call: Call) -> Response:
    wanted = await read_json(call.request, ResolveReport, max_bytes=call.app.config.limits.body_bytes)
    return json_answer(report_resource(await _acts(call).resolve(call.path("report"), wanted)))


async def _end(call: Call) -> Response:
    require_operator(call, "operate_spaces")
    await _acts(call).end_space(call.path("space"), await _why(call))
    return empty()


async def _bans(call: Call) -> Response:
    require_operator(call, "ban")
    return json_answer(BanList([ban_resource(record) for record in call.app.bans]))


async def _ban(call: Call) -> Response:
    require_operator(call, "ban")
    record = await _acts(call).ban(checked_identity(call), await _why(call))
    return json_answer(ban_resource(record))


async def _unban(call: Call) -> Response:
    require_operator(call, "ban")
    await _acts(call).unban(checked_identity(call), await _why(call))
    return empty()


async def _audit(call: Call) -> Response:
    require_operator(call, "read_audit")
    return await audit_page(call, None)


def operations(_: Signalling) -> Sequence[Operation]:
    return [*_report_operations(), *_ban_operations(), *_other_operations()]


def _report_operations() -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_OPERATOR + "/reports",
            handler=_reports,
            summary="Reports, what waits longest first.",
            tag="operator",
            parameters=query_parameters(ReportQuery),
            answers=[Answer(200, "The reports.", ReportPage)],
            codes=_PAGE,
        ),
        Operation(
            method="POST",
            path=_OPERATOR + "/reports/{report}/resolve",
            handler=_resolve,
            summary="Say what came of a report.",
            tag="operator",
            body=ResolveReport,
            is_body_required=True,
            example={"resolution": "banned", "reason": "third report this week"},
            answers=[Answer(200, "The report, resolved.", ReportResource)],
            codes=("missing_permission", "unknown_report", "report_resolved", *_BODY),
        ),
    ]


def _ban_operations() -> Sequence[Operation]:
    path, route = _OPERATOR + "/bans/{identity}", _OPERATOR + "/bans/{identity:path}"
    return [
        Operation(
            method="GET",
            path=_OPERATOR + "/bans",
            handler=_bans,
            summary="Who is kept out everywhere.",
            tag="operator",
            answers=[Answer(200, "The bans, oldest first.", BanList)],
            codes=("missing_permission",),
        ),
        Operation(
            method="PUT",
            path=path,
            route=route,
            handler=_ban,
            summary="Keep an identity out of everything; what stands is closed at the packet before the answer.",
            tag="operator",
            body=WithReason,
            example={"reason": "threats, see the report"},
            answers=[Answer(200, "The ban.", BanResource)],
            codes=("missing_permission", "sfu_unavailable", *_BODY),
        ),
        Operation(
            method="DELETE",
            path=path,
            route=route,
            handler=_unban,
            summary="Let an identity in again.",
            tag="operator",
            body=WithReason,
            answers=[Answer(204, "It may come again.")],
            codes=("missing_permission", "not_banned", *_BODY),
        ),
    ]


def _other_operations() -> Sequence[Operation]:
    return [
        Operation(
            method="POST",
            path=_OPERATOR + "/spaces/{space}/end",
            handler=_end,
            summary="End any space for everyone.",
            tag="operator",
            body=WithReason,
            answers=[Answer(204, "It has ended.")],
            codes=("missing_permission", "unknown_space", "space_ended", "sfu_unavailable", *_BODY),
        ),
        Operation(
            method="GET",
            path=_OPERATOR + "/audit",
            handler=_audit,
            summary="The audit trail of all spaces.",
            tag="operator",
            parameters=query_parameters(PageQuery),
            answers=[Answer(200, "The acts, newest first.", AuditPage)],
            codes=_PAGE,
        ),
    ]
