"""Development mode: a configuration made on the spot, and the note by which other commands find the server. Edge.

The note holds the keys of that one run. It lies in a directory that only its user can read and goes when the server
goes; a note whose server is dead is not believed.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from sfu.contract.config import Config, Control, Drain, Logging, Rtc, Spaces, Store, dump_config, load_config

SPACE = "demo"
KEY = "development"


class Note(Struct, frozen=True):
    """What `palco publish`, `listen`, `token` and `doctor` need to know of a development server."""

    pid: int
    url: str
    config: str
    """The YAML that the server runs with, secrets included."""
    space: str = SPACE


def development_config(directory: Path, environ: Mapping[str, str]) -> Config:
    """Loopback only, new keys, sockets and database in `directory`; PALCO_PORT and the like still apply."""
    base = Config(
        development=True,
        keys={KEY: secrets.token_hex(32)},
        rtc=Rtc(udp_ports=[7882, 7883], bind_address="127.0.0.1", node_ips=["127.0.0.1"]),
        control=Control(socket=str(directory / "sfu.sock")),
        store=Store(url=f"sqlite:///{directory / 'palco.db'}"),
        spaces=Spaces(auto_create=True),
        drain=Drain(deadline_s=0),  # Ctrl-C ends it, whoever listens
        logging=Logging(format="console"),
    )
    return load_config(None, {**environ, "PALCO_CONFIG": dump_config(base)})


def note_directory(environ: Mapping[str, str]) -> Path:
    """The user's own runtime directory, where the system has one."""
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "palco"
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "palco"


@contextmanager
def leave_note(note: Note, *, port: int, environ: Mapping[str, str]) -> Iterator[Path]:
    """Keeps the note while the block runs; readable by its user alone."""
    directory = note_directory(environ)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / f"development-{port}.json"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(note))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def find_note(environ: Mapping[str, str], *, url: str | None = None) -> Note | None:
    """The note of the development server at `url`, or of the one started last; None where none runs."""
    notes = sorted(note_directory(environ).glob("development-*.json"), key=_changed_s, reverse=True)
    for path in notes:
        try:
            note = msgspec.json.decode(path.read_bytes(), type=Note)
        except (OSError, msgspec.DecodeError):
            continue  # gone meanwhile, or another version's
        if _is_alive(note.pid) and url in {None, note.url}:
            return note
    return None


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
