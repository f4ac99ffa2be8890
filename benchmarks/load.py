"""Builds and runs `palco-load`, the program that plays speakers and listeners. Edge."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

CRATE = Path(__file__).parent / "load"


class LoadFailedError(RuntimeError):
    """The load generator ended without a result; its own sentence says why."""


def build() -> Path:
    """The built program. Cargo shows its progress; nothing is done where nothing changed."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", CRATE / "target"))
    manifest = str(CRATE / "Cargo.toml")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest], check=True)
    return target / "release" / "palco-load"


@asynccontextmanager
async def play(
    program: Path, job: dict[str, Any], *, mode: str = "play"
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of a run, as they come; the program is ended when the caller is done."""
    process = await asyncio.create_subprocess_exec(
        str(program), mode, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24
    )
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise LoadFailedError("no pipes to the load generator")

    async def events() -> AsyncIterator[dict[str, Any]]:
        async for line in stdout:
            yield json.loads(line)
        if await process.wait() != 0:
            raise LoadFailedError("the load generator failed; what it said stands above")

    try:
        stdin.write(json.dumps(job).encode())
        stdin.close()
        yield events()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
