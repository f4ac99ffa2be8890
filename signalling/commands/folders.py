"""The folders that the processes expect to be there. Edge (files)."""

from pathlib import Path

from sfu.contract.config import Config
from signalling.commands.checks import sqlite_path
from signalling.commands.failure import CommandFailedError


def prepare(config: Config) -> None:
    """Makes the folders of the control socket and of the database, for this user alone. Raises CommandFailedError."""
    if config.control.tcp is None:
        _make(Path(config.control.socket).parent, "control.socket")
    path = sqlite_path(config)
    if path is not None and str(path) != ":memory:":
        _make(path.parent, "store.url")


def _make(folder: Path, key: str) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailedError(
            f"{folder} cannot be made ({error.strerror}): give this user that folder, or set {key} to another place."
        ) from error
