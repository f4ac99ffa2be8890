"""What a host asks of a space, checked against the operator's rules. Pure.

Types have refused what is no text or no list; here every rule of the product has a code of its own.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import UNSET

from sfu.contract.config_sections import Spaces
from signalling.errors import CommandError
from signalling.records import SpaceRecord
from signalling.resources import MAX_ON_STAGE, CreateSpace, EditSpace, timestamp

MAX_TITLE_CHARACTERS: Final = 70
MAX_DESCRIPTION_CHARACTERS: Final = 1000
MAX_TOPICS: Final = 3

DAY_S: Final = 86_400.0

LATE_BY_S: Final = 60.0
"""A start that was now when the request was written is not in the past when it is read."""

_LANGUAGE: Final = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?"
    r"(-([A-Za-z\d]{5,8}|\d[A-Za-z\d]{3}))*(-[A-WY-Za-wy-z\d](-[A-Za-z\d]{2,8})+)*(-[Xx](-[A-Za-z\d]{1,8})+)?"
)
"""A well-formed language tag (RFC 5646 §2.1), but for the reserved and the grandfathered."""


def record_of(
    wanted: CreateSpace, rules: Spaces, *, space: str, host: str, host_name: str, now_s: float
) -> SpaceRecord:
    """The space as it is to be made. Raises CommandError."""
    starts_at_s = None if wanted.starts_at is None else _start(wanted.starts_at, rules, now_s)
    return SpaceRecord(
        space=space,
        title=title_of(wanted.title),
        description=_description(wanted.description),
        topics=_topics(wanted.topics, rules),
        language=None if wanted.language is None else _language(wanted.language),
        audience=wanted.audience,
        speak=wanted.speak,
        entry=wanted.entry,
        host=host,
        host_name=host_name,
        max_speakers=_max_speakers(wanted.max_speakers or rules.max_speakers, rules.max_cohosts),
        max_cohosts=rules.max_cohosts,
        created_at_s=now_s,
        starts_at_s=starts_at_s,
        started_at_s=None if starts_at_s is not None else now_s,
        ticket=wanted.ticket,
    )


def changes_of(wanted: EditSpace, record: SpaceRecord, rules: Spaces, now_s: float) -> dict[str, Any]:
    """Fields of `SpaceRecord` as they are to be; what was left out is not among them. Raises CommandError."""
    changes: dict[str, Any] = {}
    for name in wanted.__struct_fields__:
        value = getattr(wanted, name)
        if value is UNSET:
            continue
        match name:
            case "title":
                changes["title"] = title_of(value)
            case "description":
                changes["description"] = _description(value)
            case "topics":
                changes["topics"] = _topics(value, rules)
            case "language":
                changes["language"] = None if value is None else _language(value)
            case "starts_at":
                changes["starts_at_s"] = _start(value, rules, now_s)
            case "max_speakers":
                changes["max_speakers"] = _max_speakers(value, record.max_cohosts)
            case _:
                changes[name] = value
    return changes


def title_of(typed: str) -> str:
    """Raises CommandError `title_too_long`, `bad_title`."""
    title = typed.strip()
    if len(title) > MAX_TITLE_CHARACTERS:
        raise CommandError(
            "title_too_long",
            f"the title has {len(title)} characters and may have {MAX_TITLE_CHARACTERS}",
            limit=MAX_TITLE_CHARACTERS,
        )
    if not title or not title.isprintable():
        raise CommandError("bad_title", "the title needs 1 to 70 printable characters")
    return title


def _description(typed: str) -> str:
    description = typed.strip()
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        raise CommandError(
            "description_too_long",
            f"the description has {len(description)} characters and may have {MAX_DESCRIPTION_CHARACTERS}",
            limit=MAX_DESCRIPTION_CHARACTERS,
        )
    if "\0" in description:
        raise CommandError("bad_request", "a description holds no NUL character")
    return description


def _topics(typed: Sequence[str], rules: Spaces) -> list[str]:
    topics = list(dict.fromkeys(topic.strip().lower() for topic in typed))
    known = {topic.lower(): topic for topic in rules.topics}
    if unknown := [topic for topic in topics if topic not in known]:
        raise CommandError("unknown_topic", f"there is no topic {unknown[0][:40]!r} here", topics=rules.topics)
    if len(topics) > MAX_TOPICS:
        raise CommandError("too_many_topics", f"a space has {MAX_TOPICS} topics at most", limit=MAX_TOPICS)
    return [known[topic] for topic in topics]


def _language(typed: str) -> str:
    if len(typed) > 35 or not _LANGUAGE.fullmatch(typed):  # RFC 5646 §4.4.1: 35 holds every tag that is in use
        raise CommandError("bad_language", "write a language tag such as en, pt-BR or zh-Hant (BCP 47)")
    return typed


def _start(typed: str, rules: Spaces, now_s: float) -> float:
    starts_at_s = _moment_s(typed)
    if starts_at_s < now_s - LATE_BY_S:
        raise CommandError("starts_in_the_past", "that moment has passed; leave starts_at out to begin now")
    latest_s = now_s + rules.schedule_days * DAY_S
    if starts_at_s > latest_s:
        raise CommandError(
            "starts_too_late",
            f"a space is scheduled {rules.schedule_days} days ahead at most",
            latest=timestamp(latest_s),
            days=rules.schedule_days,
        )
    return starts_at_s


def _moment_s(typed: str) -> float:
    refusal = CommandError("bad_time", "write starts_at as RFC 3339, such as 2027-01-31T18:00:00Z")
    try:
        moment = datetime.fromisoformat(typed)
        moment_s = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise refusal from None
    if moment.tzinfo is None:
        raise refusal
    return moment_s


def _max_speakers(wanted: int, max_cohosts: int) -> int:
    limit = MAX_ON_STAGE - 1 - max_cohosts
    if wanted > limit:
        raise CommandError(
            "bad_request",
            f"with the host and {max_cohosts} cohosts a stage holds {limit} speakers at most",
            limit=limit,
        )
    return wanted
