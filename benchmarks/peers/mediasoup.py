"""mediasoup, a worker and the library that drives it: one worker, one UDP port, no header extensions.

The worker is the server: it has the core, and its CPU and memory are what is counted. The Node process that tells it
whom to send to stands where other peers have a gateway. How it is built: `benchmarks.peers.mediasoup_build`.

Seen on a machine that is busy with other things: it repeats its part of the handshake after 100 ms, and sends no media
to a listener whose own part arrives twice for it. Such listeners are silent and show as packets not delivered.
"""

import asyncio
import shutil
from pathlib import Path

from benchmarks.peers import Running, mediasoup_build, started
from benchmarks.peers import process as processes

SERVER = Path(__file__).with_name("mediasoup_server.mjs")


class Mediasoup:
    """See the module."""

    name = "mediasoup"
    how_to_install = (
        f"`python -m benchmarks.peers install mediasoup` builds {mediasoup_build.VERSION} (needs Node, Debian, C++)."
    )

    def version(self) -> str | None:
        is_there = mediasoup_build.WORKER.exists() and shutil.which("node") is not None
        return mediasoup_build.VERSION if is_there else None

    async def install(self) -> None:
        if self.version() is None:
            await mediasoup_build.build()

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> Running:
        port, pid_file = processes.free_port(), workdir / "worker.pid"
        node = await processes.start(
            "mediasoup",
            ["node", SERVER, str(port), mediasoup_build.FOLDER],
            port=port,
            cpus=processes.other_cpus(cpu),
            workdir=workdir,
            environment={"MEDIASOUP_WORKER_BIN": str(pinned_worker(workdir, pid_file, cpu))},
        )
        running = Running(pids=[], base_url=f"http://127.0.0.1:{port}", sections=speakers, children=[node])
        await started([node], running)
        running.pids.append(int(await asyncio.to_thread(pid_file.read_text)))
        return running


def pinned_worker(workdir: Path, pid_file: Path, cpu: int) -> Path:
    """A script that becomes the worker, on `cpu`, and leaves its process id."""
    script = workdir / "worker"
    script.write_text(f'#!/bin/sh\necho $$ > {pid_file}\nexec taskset -c {cpu} {mediasoup_build.WORKER} "$@"\n')
    script.chmod(0o755)
    return script
