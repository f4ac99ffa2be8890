"""A PostgreSQL server of the tests' own, from Debian's packages, on a free loopback port. Edge (processes, files).

It refuses to run as root; where the tests are root it runs as `postgres`, or else `nobody`.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHIN_S = 60.0


PROGRAMS = ("initdb", "pg_ctl", "postgres", "createdb")


def find_programs() -> Path | None:
    """The folder that has them all: on the PATH, or the newest of Debian's."""
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    debians = {
        int(path.name): path / "bin" for path in Path("/usr/lib/postgresql").glob("[0-9]*") if path.name.isdigit()
    }
    folders = [*on_path, *(debians[version] for version in sorted(debians, reverse=True))]
    return next((folder for folder in folders if all((folder / program).exists() for program in PROGRAMS)), None)


class Postgres:
    """A running server; `make_database` gives the URL of an empty database."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs = programs
        self._folder = folder
        self._port = port
        self._user = _unprivileged_user()

    def start(self) -> None:
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        # Nothing here outlives the tests, so nothing needs to reach the disk.
        settings = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
        listening = f"-c listen_addresses=127.0.0.1 -p {self._port} -c unix_socket_directories={self._folder}"
        self._run("initdb", "-D", "data", "-U", "palco", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self._run(
            "pg_ctl", "-D", "data", "-l", "log", "-w", "-t", f"{WITHIN_S:.0f}", "-o", f"{settings} {listening}", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def make_database(self) -> str:
        name = f"palco_{secrets.token_hex(6)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "palco", name)
        return f"postgresql://palco@127.0.0.1:{self._port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            user=self._user,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stdout!r} {self._log()}"

    def _log(self) -> str:
        log = self._folder / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""


@contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    """A server that is gone, with all that was in it, at the end."""
    with tempfile.TemporaryDirectory(prefix="palco-postgres-") as folder:
        server = Postgres(programs, Path(folder), _free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
