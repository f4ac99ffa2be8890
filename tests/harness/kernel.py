"""What the kernel of this machine cannot do at the moment, so that a test is skipped aloud instead of hanging. Edge."""

import os
from functools import cache
from pathlib import Path

ASSUME = "PALCO_TEST_FILTERS"
"""Set to `assume` where browsers are kept from attaching filters, to start them all the same."""

_COMPILING = "bpf_prog_pack"
"""Where in the kernel those wait who want a filter compiled or freed (kernel/bpf/core.c)."""

_MANY = 16


def why_no_browser() -> str | None:
    """Why no browser may be started here; None where it may. They all attach filters (seccomp, udev)."""
    return None if os.environ.get(ASSUME) == "assume" else why_no_filter()


@cache
def why_no_filter() -> str | None:
    """Why nothing may be started here that attaches a seccomp or socket filter or changes nftables; None where it may.

    A kernel can lock up its compiler of filters for good (too many freed at once), and with it the queue in which
    nftables frees its rules. Who waits for either can neither go on nor be killed. Needs root to see it; takes it to be
    well otherwise.
    """
    waiting = sum(_wait_channel(entry).startswith(_COMPILING) for entry in Path("/proc").glob("[0-9]*"))
    if waiting < _MANY:
        return None
    return f"this kernel compiles no filters any more ({waiting} tasks wait for it): restart the machine"


def _wait_channel(process: Path) -> str:
    try:
        return (process / "wchan").read_text()
    except OSError:
        return ""
