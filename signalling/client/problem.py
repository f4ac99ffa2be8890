"""What a server's refusal means, in a sentence that says what to do. Pure."""

import datetime
import email.utils
import json
from collections.abc import Mapping

REMEDIES = {
    "space_exists": "choose another id, or join that space",
    "stage_full": "wait for a speaker to leave, or ask the host to move one to the audience",
    "removed": "a host removed you from this space; ask the host for a new token",
    "blocked": "a host has blocked you from this space",
    "outranked": "act as the host: --as, or a token of the host's identity",
    "no_hand": "`palco hands list` shows whose hands are up now",
    "draining": "this server is shutting down; try again, another one should answer",
}
"""By the problem's `code`."""

REMEDIES_BY_STATUS = {
    401: "give a valid token (--token or PALCO_TOKEN); `palco token --help` says how to make one",
    403: "make a token with the missing grant: `palco token --help`",
    404: "check the space's name and the address; `palco spaces create` makes one",
    409: "the space's state does not allow it now; try again later",
    413: "this server accepts no request of that size",
    415: "the address may belong to some other server; Palco's endpoints are /whip/{space} and /whep/{space}",
    429: "too many requests; wait a little",
    503: "the server is busy or shutting down; try again in a while",
}

MAX_WAIT_S = 30.0
"""No server is believed that asks for more; a person sits in front of this client."""

FIRST_WAIT_S = 1.0


class RefusedError(Exception):
    """A server refused, or (status 0) none answered; `code` for machines, the text for people."""

    def __init__(self, *, status: int, code: str, detail: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        remedy = REMEDIES.get(code) or REMEDIES_BY_STATUS.get(status)
        said = detail.rstrip(".") or "The server refused"
        label = f" ({status} {code})" if status else ""
        super().__init__(f"{said}{label}{f': {remedy}' if remedy else ''}.")


def read_refusal(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime.datetime) -> RefusedError:
    """The refusal in a response, with or without an RFC 9457 problem in its body."""
    problem = _read_problem(body) if "json" in headers.get("content-type", "") else {}
    detail = str(problem.get("detail") or problem.get("title") or "")
    if (missing := problem.get("missing_permission")) and str(missing) not in detail:
        detail = f"{detail.rstrip('.') or 'Not allowed'}; missing permission: {missing}"
    if (section := problem.get("section")) and str(section) not in detail:
        detail = f"{detail.rstrip('.')} (section {section} of the offer)"
    return RefusedError(
        status=status,
        code=str(problem.get("code") or "unnamed"),
        detail=detail,
        retry_after_s=read_retry_after(headers.get("retry-after"), now=now),
    )


def read_retry_after(value: str | None, *, now: datetime.datetime) -> float | None:
    """Seconds to wait (RFC 9110 §10.2.3: a number or a date); None when the header is absent or makes no sense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(0.0, (when - now).total_seconds())
    except (ValueError, TypeError):  # no date; or one without a zone, which cannot be compared
        return None


def retry_wait_s(refusal: RefusedError, *, attempt: int, waited_s: float, patience_s: float) -> float | None:
    """How long to wait before asking again; None when it is pointless or patience is at an end.

    Only what may pass by itself is asked again: an overloaded server (503), too many requests (429), and what the
    server names a time for.
    """
    if refusal.retry_after_s is None and refusal.status not in {429, 503}:
        return None
    wait_s = FIRST_WAIT_S * 2**attempt if refusal.retry_after_s is None else max(refusal.retry_after_s, 0.1)
    wait_s = min(wait_s, MAX_WAIT_S)
    return wait_s if waited_s + wait_s <= patience_s else None


def _read_problem(body: bytes) -> dict[str, object]:
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
