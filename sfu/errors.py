"""Errors by blame: a stranger, a caller, ourselves. Pure."""


class PeerError(Exception):
    """A browser or a stranger broke protocol: refuse, count, carry on."""


class CommandError(Exception):
    """A caller asked for the impossible; nothing has been changed.

    `code` is stable and for machines (see `Refused` in the control protocol); `detail` is a sentence for people that
    says what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class StartError(Exception):
    """The process cannot start on this machine as configured; the text says what is in the way and what to do."""


class Bug(Exception):  # noqa: N818 - it is what it says
    """An assumption of our own broke; log it with its facts, close that one participant, never the space."""

    def __init__(self, sentence: str, **facts: object) -> None:
        super().__init__(sentence)
        self.facts = facts
