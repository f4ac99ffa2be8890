"""The server's guide: what it tells people to type works as it stands, and what it points to exists."""

import os
import re
import subprocess
import sys
import wave
from array import array
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, ROOT, need

GUIDE = (DEPLOY / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(?:## (?P<section>[^\n]+)|```sh\n(?P<commands>.*?)^```)$", re.MULTILINE | re.DOTALL)
WITHIN_S = 110.0

ENTER = """
set -euo pipefail
mount -t tmpfs none "$SCRATCH"
for folder in etc opt run var; do
    mkdir -p "$SCRATCH/$folder/new" "$SCRATCH/$folder/work"
    mount -t overlay none -o "lowerdir=/$folder,upperdir=$SCRATCH/$folder/new,workdir=$SCRATCH/$folder/work" "/$folder"
done
ip link set lo up
ip address add 192.0.2.10/32 dev lo
mkdir -p /opt/palco
mount --bind "$VENV" /opt/palco
"""
"""A machine of our own: files are changed in memory only, the network is a loopback with the guide's public address,
/opt/palco is this checkout's environment."""

START = """
mkdir -p /run/palco /var/lib/palco
export PALCO_KEYS_FILE=/etc/palco/keys.yaml
/opt/palco/bin/palco sfu --config /etc/palco/palco.yaml &
/opt/palco/bin/palco signalling --config /etc/palco/palco.yaml &
disown -a
unset PALCO_KEYS_FILE
until curl --fail -s -o "$SCRATCH/ready" http://127.0.0.1:7880/readyz; do sleep 0.2; done
"""
"""In the place of systemd, at the end of the section Start."""


def guide_script() -> str:
    parts = [ENTER]
    section = ""
    for match in BLOCK.finditer(GUIDE):
        if match["section"]:
            parts += [START] if section == "Start" else []
            section = match["section"]
        else:
            parts.append(match["commands"])
    return "".join(parts) + 'cp /var/tmp/heard.wav /var/backups/palco/palco.db "$HEARD"\n'


def test_the_guide_has_the_sections_that_its_contents_name() -> None:
    named = re.findall(r"^- \[(.+)\]\(#", GUIDE, re.MULTILINE)
    assert named == re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", GUIDE))))
def test_what_the_guide_points_to_exists(link: str) -> None:
    assert (DEPLOY / link).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?<![\w/])deploy/[\w./-]+\w", GUIDE))))
def test_the_files_that_it_installs_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_block_that_is_called_tried_is_run() -> None:
    assert GUIDE.count("(*tried*)") == GUIDE.count("```sh\n")


@pytest.mark.live
def test_the_commands_of_the_guide_lead_to_a_space_that_is_heard(tmp_path: Path) -> None:
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([need("unshare"), *namespaces, "true"], capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED HERE: namespaces need root")
    for tool in ("ip", "nft", "curl", "openssl", "sqlite3", "systemd-sysusers"):
        need(tool)
    scratch, heard = tmp_path / "scratch", tmp_path / "heard"
    scratch.mkdir()
    heard.mkdir()
    environ = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(tmp_path),
        "SCRATCH": str(scratch),
        "HEARD": str(heard),
        "VENV": str(Path(sys.executable).parents[1]),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    with (tmp_path / "said").open("wb") as output:
        done = subprocess.run(
            ["unshare", *namespaces, "bash", "-c", guide_script()],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=output,
            timeout=WITHIN_S,
            check=False,
        )
    said = (tmp_path / "said").read_text(errors="replace")
    assert done.returncode == 0, said
    for word in ("Palco can run here.", '"status":"ready"', "palco_signalling_sfu_up 1.0", '{"participants":'):
        assert word in said
    with wave.open(str(heard / "heard.wav")) as recording:
        sound = array("h", recording.readframes(recording.getnframes()))
    assert max(sound) > 1000  # of 32,767: a tone, not silence
    assert (heard / "palco.db").read_bytes().startswith(b"SQLite format 3\0")
