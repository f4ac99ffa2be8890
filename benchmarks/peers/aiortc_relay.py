"""aiortc, the plain answer in Python: one process, a connection per listener, its own `MediaRelay` between them.

Faster than what its examples do: those decode each packet once and encode it anew for every listener, and hold speech
back for the four packets of a jitter buffer. Here packets pass undecoded (`benchmarks.peers.aiortc_server`).
"""

from importlib import metadata
from pathlib import Path

from benchmarks.peers import Running, started
from benchmarks.peers import process as processes


class AiortcRelay:
    """See the module."""

    name = "aiortc"
    how_to_install = "aiortc is one of Palco's own dependencies: `make build` installs it."

    def version(self) -> str | None:
        try:
            return metadata.version("aiortc")
        except metadata.PackageNotFoundError:
            return None

    async def install(self) -> None:
        if self.version() is None:
            raise processes.SetupError(self.how_to_install)

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> Running:
        port = processes.free_port()
        child = await processes.start(
            "aiortc",
            processes.python("benchmarks.peers.aiortc_server", port),
            port=port,
            cpus=[cpu],
            workdir=workdir,
            environment=processes.module_path(),
        )
        base_url = f"http://127.0.0.1:{port}"
        running = Running(pids=[child.pid], base_url=base_url, sections=speakers, children=[child])
        return await started([child], running)
