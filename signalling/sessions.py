"""Peer connections, from the offer to the end: WHIP, WHEP and the two-way stage session. Edge (randomness).

An entity tag is made of the session's credentials, so that a restarted server finds the one that it gave out; trickled
candidates change nothing here (ICE-lite) and do not change it, an ICE restart does.
"""

import hashlib
import secrets

import structlog
from msgspec import Struct

from sfu.contract.messages import CloseSession, IceRestarted, OpenSession, Refused, RestartIce, SessionOpened
from signalling.app import Signalling
from signalling.errors import Bug, CommandError, PeerError, Refusal
from signalling.live import refused
from signalling.negotiation import Agreement, Kind, build_answer, negotiate
from signalling.participants import Authority, Joiner, Session
from signalling.permissions import Action, Caller, permits, require
from signalling.sdp import parse_offer
from signalling.sdpfrag import build_fragment, parse_fragment
from signalling.spaces import Space
from signalling.tokens import Token

log = structlog.get_logger("signalling")

_ACTION_OF: dict[Kind, Action] = {"whip": "publish", "whep": "subscribe", "stage": "open_stage_session"}

SESSION_ID_BYTES = 24
"""192 bits; RFC 9725 §4.2 and threat T27 want 128 at the least."""


class Opened(Struct, frozen=True):
    session: str
    answer: str
    etag: str


class Restarted(Struct, frozen=True):
    fragment: str
    etag: str


async def open_session(
    app: Signalling, space: Space, token: Token, caller: Caller, *, kind: Kind, body: bytes
) -> Opened:
    """Admits the holder of `token` and answers the offer in `body`. Raises Refusal."""
    try:
        with app.tracing.span("join", kind=kind):
            opened = await _open(app, space, token, caller=caller, kind=kind, body=body)
    except Refusal as refusal:
        app.metrics.join_failures.labels(kind, refusal.code).inc()
        log.info("join_refused", space=space.id, identity=token.identity, kind=kind, code=refusal.code)
        raise
    app.metrics.joins.labels(kind).inc()
    log.info("joined", space=space.id, identity=token.identity, kind=kind, session=opened.session[:8])
    return opened


async def _open(app: Signalling, space: Space, token: Token, *, caller: Caller, kind: Kind, body: bytes) -> Opened:
    require(caller, _ACTION_OF[kind])
    limits = app.config.limits
    offer = parse_offer(body, max_bytes=limits.sdp_bytes, max_lines=limits.sdp_lines)
    agreement = negotiate(
        offer,
        kind,
        max_send=app.config.spaces.forward_sections,
        discards_video=app.config.whip.video == "discard",
    )
    if not app.link.is_up:
        raise CommandError("sfu_unavailable", "the media server is not connected; try again in a moment")
    if app.session_count >= limits.max_sessions:
        raise CommandError("overloaded", f"this server holds {limits.max_sessions} sessions at most")
    session = secrets.token_urlsafe(SESSION_ID_BYTES)
    joiner = _joiner(token, caller, agreement, host=space.record.host)
    answer = await _ask_sfu(app, space, joiner, session=session, agreement=agreement)
    return Opened(session, build_answer(agreement, answer), etag_of(session, answer.ufrag, agreement.remote_ufrag))


async def _ask_sfu(
    app: Signalling, space: Space, joiner: Joiner, *, session: str, agreement: Agreement
) -> SessionOpened:
    await app.earlier_decisions(space)
    admission = space.on_join(joiner, session=session, now_s=app.clock())
    app.remember_session(session, space.id)
    answer = await app.link.tell(
        OpenSession(
            session=session,
            space=space.id,
            identity=joiner.identity,
            kind=agreement.kind,
            setup=agreement.setup,
            fingerprints=agreement.fingerprints,
            remote_ufrag=agreement.remote_ufrag,
            receive=agreement.receive,
            send=agreement.send,
            is_on_stage=admission.is_on_stage,
            is_muted=admission.is_muted,
            owner=admission.owner,
            trace=app.tracing.current(),
        )
    )
    if not isinstance(answer, SessionOpened):
        app.forget_session(session)
        await app.carry_out(space, space.on_session_closed(session, app.clock()))
        if not isinstance(answer, Refused):
            raise Bug(f"an OpenSession was answered with {type(answer).__name__}")
        if answer.code == "sfu_unavailable":
            app.link.tell(CloseSession(session))  # an answer that comes too late would leave it open
        raise refused(answer)
    opened = space.on_session_opened(session, ufrag=answer.ufrag, now_s=app.clock(), follows=joiner.follows)
    await app.carry_out(space, opened)
    app.learn_relations(space, joiner.identity)
    if space.session(session) is None:
        space.check_admission(joiner.identity, joiner.issued_at_s)
        raise CommandError("unknown_session", "the session was closed while it was being opened")
    return answer


def _joiner(token: Token, caller: Caller, agreement: Agreement, *, host: str) -> Joiner:
    authority: Authority | None = None
    if "host" in caller.standings:
        authority = "host"
    elif "cohost" in caller.standings and token.grants.room_admin:
        authority = "cohost"
    return Joiner(
        identity=token.identity,
        name=token.name,
        authority=authority,
        can_publish="publisher" in caller.standings,
        is_hidden=token.grants.hidden,
        is_recorder=token.grants.recorder,
        issued_at_s=token.issued_at_s,
        kind=agreement.kind,
        remote_ufrag=agreement.remote_ufrag,
        mid=agreement.bundle_mid,
        key=token.key,
        is_followed=host in token.palco.followed_by,
        follows=frozenset(token.palco.follows) if authority == "host" else frozenset(),
        blocks=frozenset(token.palco.blocks),
    )


def find_session(space: Space, session: str, caller: Caller, *, kind: Kind) -> Session:
    """The session behind a URL, for its owner or a moderator.

    Raises CommandError `unknown_session`, to strangers too: a URL is no oracle.
    """
    found = space.session(session)
    is_theirs = found is not None and (found.identity == caller.identity or permits(caller.standings, "close_session"))
    if found is None or not is_theirs or found.kind != kind or not found.is_open:
        raise CommandError("unknown_session", "there is no such session, or it is somebody else's")
    return found


async def close_session(app: Signalling, space: Space, session: Session) -> None:
    """Returns when nothing more is sent to it or taken from it (RFC 9725 §4.2)."""
    answer = await app.link.tell(CloseSession(session.session))
    if isinstance(answer, Refused) and answer.code != "unknown_session":
        raise refused(answer)
    app.forget_session(session.session)
    log.info("left", space=space.id, identity=session.identity, session=session.session[:8], reason="closed")
    await app.carry_out(space, space.on_session_closed(session.session, app.clock()))


async def patch_session(
    app: Signalling, space: Space, session: Session, *, if_match: str | None, body: bytes
) -> Restarted | None:
    """Trickle (None: done) or ICE restart (RFC 9725 §4.3). Raises Refusal; a refused restart changes nothing.

    The RFC demands If-Match. A client that does not send it is believed when the fragment's ufrag is the session's own,
    unless the operator has set `whip.strict_etag`.
    """
    fragment = parse_fragment(body)
    is_trickle = fragment.ufrag is None or fragment.ufrag == session.remote_ufrag
    etag = etag_of(session.session, session.ufrag, session.remote_ufrag)
    if if_match is None:
        if app.config.whip.strict_etag or not is_trickle or fragment.ufrag is None:
            raise PeerError("precondition_required", "send If-Match with the session's ETag; for an ICE restart, *")
    elif if_match != "*" and etag not in [tag.strip() for tag in if_match.split(",")]:
        raise PeerError("stale_etag", "If-Match is not the session's present ETag; it changes with every ICE restart")
    if is_trickle:
        return None
    return await _restart_ice(app, space, session, remote_ufrag=fragment.ufrag or "", pwd=fragment.pwd)


async def _restart_ice(
    app: Signalling, space: Space, session: Session, *, remote_ufrag: str, pwd: str | None
) -> Restarted:
    if pwd is None:
        raise PeerError("bad_sdpfrag", "an ICE restart needs ice-pwd beside ice-ufrag", section="session")
    answer = await app.link.tell(RestartIce(session.session, remote_ufrag))
    if isinstance(answer, Refused):
        raise refused(answer)
    if not isinstance(answer, IceRestarted):
        raise Bug(f"a RestartIce was answered with {type(answer).__name__}")
    space.on_ice_restarted(session.session, ufrag=answer.ufrag, remote_ufrag=remote_ufrag)
    log.info("ice_restarted", space=space.id, identity=session.identity, session=session.session[:8])
    return Restarted(
        build_fragment(mid=session.mid, ufrag=answer.ufrag, pwd=answer.pwd, candidates=answer.candidates),
        etag_of(session.session, answer.ufrag, remote_ufrag),
    )


def etag_of(session: str, ufrag: str, remote_ufrag: str) -> str:
    """The strong entity tag of a session with these credentials."""
    digest = hashlib.sha256(f"{session}\n{ufrag}\n{remote_ufrag}".encode()).hexdigest()
    return f'"{digest[:24]}"'
