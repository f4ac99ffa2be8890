"""The page's pure modules, tested in their own language."""

import subprocess
from pathlib import Path

from tests.page.test_files import NODE


def test_the_pure_modules_do_what_they_say() -> None:
    """`units.mjs` has the sentences; its report is shown when one of them is not true."""
    units = Path(__file__).parent / "units.mjs"
    run = subprocess.run([NODE, "--test", units], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
