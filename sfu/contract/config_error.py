"""How a configuration is refused, and which of its values nobody is ever shown. Pure."""

SECRET_KEYS = (
    "keys",
    "control.secret",
    "store.url",
    "rtc.turn_servers.*.secret",
    "rtc.turn_servers.*.credential",
)
"""Keys whose values no message ever shows; each may come from a file named by the same key with `_file`. `*` stands for
any place in a list."""


class ConfigError(Exception):
    """The configuration cannot be used: which key, what it says, what to write instead.

    `says` replaces the plain "is <value>" where that would not help; a secret's value is never shown or kept.
    """

    def __init__(self, key: str, value: object, remedy: str, *, says: str | None = None) -> None:
        self.key = key
        self.value = None if is_secret(key) else value
        self.remedy = remedy
        super().__init__(f"{key} {says or _tell(key, value)}: {remedy}")


def is_secret(key: str) -> bool:
    """Whether `key` is one of `SECRET_KEYS`, or below one."""
    plain = ".".join("*" if part.isdecimal() else part for part in key.split("."))
    return any(plain == secret or plain.startswith(f"{secret}.") for secret in SECRET_KEYS)


def _tell(key: str, value: object) -> str:
    if value is None:
        return "is not set"
    if is_secret(key):
        return "has the wrong kind of value (not shown here: it is secret)"
    return f"is {value!r}"
