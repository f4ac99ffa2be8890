"""LiveKit's server, built from its Go module; everybody joins through its own one-request signalling (WHIP).

One UDP port, no congestion control, no limits, warnings logged only, and the batched writes that its sample
configuration offers against CPU load. (With and without them was not told apart on a busy machine; they may add 2
ms.) Its cost for signalling to an audience (updates over a WebSocket to each) does not arise here.
"""

import re
import secrets
import shutil
import subprocess
from pathlib import Path

from benchmarks.peers import CACHE, Running, started
from benchmarks.peers import process as processes

VERSION = "v1.13.5"
"""The newest whose requirements all are at the module proxy."""
MODULE = "github.com/livekit/livekit-server/cmd/server"
BINARY = CACHE / "livekit" / "server"

BATCH_IO = "batch_io: { batch_size: 128, max_flush_interval: 2ms }"
CONFIGURATION = """
port: {port}
bind_addresses: ["127.0.0.1"]
rtc:
  udp_port: {udp_port}
  tcp_port: 0
  use_external_ip: false
  node_ip: 127.0.0.1
  enable_loopback_candidate: true
  interfaces: {{ includes: [lo] }}
  ips: {{ includes: [127.0.0.1/32] }}
  congestion_control: {{ enabled: false }}
  {batch_io}
keys: {{ {key}: {secret} }}
logging: {{ level: warn, pion_level: error }}
limit: {{ num_tracks: -1, bytes_per_sec: -1 }}
"""


class LiveKit:
    """See the module."""

    name = "livekit"
    how_to_install = f"`python -m benchmarks.peers install livekit` builds {VERSION} of its Go module (needs Go 1.26)."

    def version(self) -> str | None:
        if not BINARY.exists():
            return None
        said = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"version (\S+)", said)
        return found[1] if found else "unknown"

    async def install(self) -> None:
        if self.version() == VERSION.removeprefix("v"):
            return
        if shutil.which("go") is None:
            raise processes.SetupError("Go is not installed")
        await processes.run(
            ["go", "install", "-trimpath", f"{MODULE}@{VERSION}"], environment={"GOBIN": str(BINARY.parent)}
        )

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> Running:
        port, livekit_port, udp_port = (processes.free_port() for _ in range(3))
        key, secret = "benchmark", secrets.token_hex(32)
        configuration = workdir / "livekit.yaml"
        configuration.write_text(
            CONFIGURATION.format(port=livekit_port, udp_port=udp_port, key=key, secret=secret, batch_io=BATCH_IO)
        )
        server = await processes.start(
            "livekit", [BINARY, "--config", configuration], port=livekit_port, cpus=[cpu], workdir=workdir
        )
        running = Running(pids=[server.pid], base_url=f"http://127.0.0.1:{port}", sections=speakers, children=[server])
        await started([server], running)
        gateway = await processes.start(
            "livekit-gateway",
            processes.python("benchmarks.peers.livekit_gateway", port, livekit_port, key, secret),
            port=port,
            cpus=processes.other_cpus(cpu),
            workdir=workdir,
            environment=processes.module_path(),
        )
        running.children.append(gateway)
        return await started([gateway], running)
