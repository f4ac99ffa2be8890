"""What the tests of `deploy/` share: where it is, tools that may be missing, unit files read. Edge."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.kernel import why_no_filter

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

PACKAGES = {
    "nft": "nftables",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "systemd-sysusers": "systemd",
    "turnserver": "coturn",
}
"""Tool: the Debian package that has it. helm and compose-config have none; tests/setup builds them where Go is."""


def need(tool: str) -> str:
    """The tool's path, or a skip that the end of the run names."""
    if tool == "nft" and (why := why_no_filter()):
        pytest.skip(f"NOT TESTED HERE: {why}")
    beside = str(Path(sys.executable).parent)  # where tests/setup puts what it builds
    if found := shutil.which(tool) or shutil.which(tool, path=f"{beside}:/usr/sbin:/sbin"):
        return found
    package = PACKAGES.get(tool)
    remedy = f"apt-get install {package}" if package else "tests/setup builds it with Go"
    pytest.skip(f"NOT TESTED HERE: {tool} is missing ({remedy})")


def run(*argv: str, timeout_s: float = 60.0, stdin: str = "") -> str:
    """What the tool said; fails with it where the tool did."""
    done = subprocess.run(argv, capture_output=True, text=True, input=stdin, timeout=timeout_s, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(argv)} ended with {done.returncode}:\n{said}"
    return said


def read_unit(path: Path) -> dict[str, list[str]]:
    """Every setting with its values in order (systemd.syntax(7), without continuation lines, which we do not use)."""
    settings: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings
