"""A folder for the taps' sockets that is ours alone. Edge (files)."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MAX_PATH_BYTES: Final = 107 - len("/4294967295.mixer")
"""`sun_path` has 108 bytes with its closing NUL (unix(7))."""


@contextmanager
def tap_folder(control_socket: str) -> Iterator[Path]:
    """Beside the control socket, which only one sfu has: what another left behind there is removed. Where no folder can
    be made, or its path would be too long for a socket's, among the temporary files."""
    folder = _beside(Path(f"{control_socket}.taps")) or Path(tempfile.mkdtemp(prefix="palco-taps-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(folder: Path) -> Path | None:
    if len(str(folder).encode()) > MAX_PATH_BYTES:
        return None
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder
