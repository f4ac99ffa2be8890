"""Commands and draws for tests of the machines; every number is made from a name, so that failures read well."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from sfu.contract.messages import Candidate, Fingerprint, OpenSession, ReceiveSection, SendSection
from sfu.effects import Credentials, Transport
from sfu.node import Limits, Node

FINGERPRINT = Fingerprint(algorithm="sha-256", value=hashlib.sha256(b"certificate").digest().hex(":"))
RECEIVE = ReceiveSection(mid="0", payload_type=111, mid_extension=4, level_extension=1)

Kind = Literal["whip", "whep", "stage"]


def send_sections(count: int) -> list[SendSection]:
    return [SendSection(mid=str(1 + n), payload_type=111, mid_extension=4, level_extension=1) for n in range(count)]


def open_session(
    session: str,
    identity: str,
    kind: Kind = "whip",
    *,
    space: str = "lounge",
    is_on_stage: bool = True,
    is_muted: bool = False,
    sections: int | None = None,
    setup: Literal["active", "passive"] = "passive",
) -> OpenSession:
    count = sections if sections is not None else {"whip": 0, "whep": 1, "stage": 2}[kind]
    return OpenSession(
        session=session,
        space=space,
        identity=identity,
        kind=kind,
        setup=setup,
        fingerprints=[FINGERPRINT],
        remote_ufrag=f"remote-{session}",
        receive=None if kind == "whep" else RECEIVE,
        send=send_sections(count),
        is_on_stage=is_on_stage and kind != "whep",
        is_muted=is_muted,
        owner=f"owner of {session}",
    )


def transport(session: str, *, worker: int = 0, slots: int = 2) -> Transport:
    first = int.from_bytes(hashlib.sha256(session.encode()).digest()[:3], "big")
    return Transport(worker=worker, credentials=credentials(session), ssrcs=tuple(range(first, first + slots)))


def credentials(seed: str) -> Credentials:
    return Credentials(ufrag=f"ufrag-{seed}", pwd=f"password-of-22-characters-{seed}")


def make_node(*, max_sessions: int = 100, listening_sessions: int = 3, workers: Sequence[int] = (7882, 7883)) -> Node:
    return Node(
        "node-1",
        fingerprint=FINGERPRINT,
        candidates=[[Candidate(address="192.0.2.1", port=port)] for port in workers],
        limits=Limits(max_sessions=max_sessions, listening_sessions_per_identity=listening_sessions),
    )
