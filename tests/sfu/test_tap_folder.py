"""Where the taps' sockets lie: ours alone, clean, and with paths that fit."""

import stat
from pathlib import Path

from sfu.tap_folder import MAX_PATH_BYTES, tap_folder


def test_it_lies_beside_the_control_socket_and_is_ours_alone(tmp_path: Path) -> None:
    with tap_folder(str(tmp_path / "sfu.sock")) as folder:
        assert folder == tmp_path / "sfu.sock.taps"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_what_a_dead_sfu_left_there_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "sfu.sock.taps" / "1.mixer"
    left.parent.mkdir()
    left.touch()
    with tap_folder(str(tmp_path / "sfu.sock")):
        assert not left.exists()


def test_where_it_cannot_be_made_or_would_be_too_long_it_is_among_the_temporary_files(tmp_path: Path) -> None:
    for beside in (tmp_path / "missing" / "sfu.sock", tmp_path / ("x" * MAX_PATH_BYTES)):
        with tap_folder(str(beside)) as folder:
            assert folder.is_dir()
            assert folder.parent != beside.parent
            assert len(str(folder).encode()) <= MAX_PATH_BYTES
        assert not folder.exists()
