"""How a command gives up. Pure."""


class CommandFailedError(Exception):
    """What was asked for did not work; the text is a sentence that says what to do."""

    def __init__(self, text: str, *, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code
