"""`/v1/operator/people`: what is kept of a person, to hand out or to erase."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from starlette.responses import Response

from signalling.app import Signalling
from signalling.operating import operator
from signalling.web.answers import json_answer
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.operator import checked_identity

_PERSON: Final = "/v1/operator/people/{identity}"
_ROUTE: Final = "/v1/operator/people/{identity:path}"


class PersonData(Struct, frozen=True):
    """All that is kept of a person. Other people's identities are left out of it."""

    identity: str
    data: dict[str, list[dict[str, Any]]]
    """By table, as it is stored; times are seconds since 1970."""


class Erased(Struct, frozen=True):
    pseudonym: str
    """What stands in the audit trail in the person's place."""


async def _export(call: Call) -> Response:
    identity = checked_identity(call)
    data = await operator(call.app, call.token).export(identity)
    return json_answer(PersonData(identity, data), headers={"Cache-Control": "no-store"})


async def _erase(call: Call) -> Response:
    return json_answer(Erased(await operator(call.app, call.token).erase(checked_identity(call))))


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_PERSON,
            route=_ROUTE,
            handler=_export,
            summary="Everything that is kept of a person.",
            tag="operator",
            answers=[Answer(200, "The data.", PersonData)],
            codes=("missing_permission", "bad_request"),
        ),
        Operation(
            method="DELETE",
            path=_PERSON,
            route=_ROUTE,
            handler=_erase,
            summary="Erase a person; in the audit trail a pseudonym takes their place.",
            tag="operator",
            answers=[Answer(200, "Erased.", Erased)],
            codes=("missing_permission", "bad_request", "person_is_live", "person_is_banned"),
        ),
    ]
