"""Janus (Debian's package), for the job that its authors advise for it, for its conference plugin, and for its mixer.

`streaming`: speakers are forwarded as plain RTP to a mountpoint that the audience watches. `videoroom`: the audience
subscribes to the speakers. `audiobridge`: everybody is a participant of a mixed room, the audience muted; each has a
thread of its own that decodes and encodes. One event loop is shared by all: with 100 listeners it takes 26 to 30 µs for
a packet, a thread for each listener 38 to 55. Chosen without measuring each: ICE-lite, no header extensions, no admin
or event interfaces, only the plugins in use loaded. libsrtp has OpenSSL's ciphers where `benchmarks.peers.libsrtp` was
built.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from benchmarks.peers import Running, libsrtp, started
from benchmarks.peers import process as processes

EVENT_LOOPS = 1
Plugin = Literal["streaming", "videoroom", "audiobridge"]
PLUGINS: tuple[Plugin, ...] = ("streaming", "videoroom", "audiobridge")
UNUSED_PLUGINS = (
    *("duktape", "echotest", "lua", "nosip", "recordplay"),
    *("sip", "textroom", "videocall", "voicemail"),
)
UNUSED_TRANSPORTS = ("http", "mqtt", "nanomsg", "pfunix", "rabbitmq")
JANUS = "janus"

CORE = """
general: {{
    configs_folder = "{folder}"
    debug_level = 3
    event_loops = {loops}
    session_timeout = 0
}}
nat: {{
    ice_lite = true
    ice_enforce_list = "127.0.0.1"
}}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
WEBSOCKETS = """
general: {{
    json = "compact"
    ws = true
    ws_port = {port}
    ws_ip = "127.0.0.1"
}}
"""
NAMES_AS_IDS = "general: { string_ids = true }\n"


class Janus:
    """Janus with listeners on one of its plugins."""

    how_to_install = "Install the Debian package janus: `apt-get install janus`."

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self.name = f"janus-{plugin}"

    def version(self) -> str | None:
        if shutil.which(JANUS) is None:
            return None
        said = subprocess.run([JANUS, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"\((\d[\d.]*)\)", said)
        version = found[1] if found else "unknown"
        return f"{version} (libsrtp on OpenSSL)" if libsrtp.SHARED.exists() else version

    async def install(self) -> None:
        if shutil.which(JANUS) is None:
            if os.geteuid() != 0 or shutil.which("apt-get") is None:
                raise processes.SetupError(self.how_to_install)
            await processes.run(["apt-get", "install", "--yes", "--no-install-recommends", JANUS])
        await libsrtp.build()

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> Running:
        port, janus_port = processes.free_port(), processes.free_port()
        folder = configure(workdir / JANUS, janus_port)
        shim = folder / "loopback.so"
        await processes.run(["cc", "-shared", "-fPIC", "-o", shim, Path(__file__).with_name("loopback.c"), "-ldl"])
        server = await processes.start(
            JANUS,
            [JANUS, f"--configs-folder={folder}", f"--config={folder}/janus.jcfg"],
            port=janus_port,
            cpus=[cpu],
            workdir=workdir,
            environment={"LD_PRELOAD": str(shim), "LD_LIBRARY_PATH": str(libsrtp.FOLDER)},
        )
        running = Running(pids=[server.pid], base_url=f"http://127.0.0.1:{port}", sections=speakers, children=[server])
        await started([server], running)
        gateway = await processes.start(
            "janus-gateway",
            processes.python("benchmarks.peers.janus_gateway", port, janus_port, self._plugin, speakers),
            port=port,
            cpus=processes.other_cpus(cpu),
            workdir=workdir,
            environment=processes.module_path(),
        )
        running.children.append(gateway)
        return await started([gateway], running)


def configure(folder: Path, port: int) -> Path:
    """Writes Janus's configuration into a new `folder` and returns it."""
    folder.mkdir()
    core = CORE.format(
        folder=folder, loops=EVENT_LOOPS, plugins=libraries(UNUSED_PLUGINS), transports=libraries(UNUSED_TRANSPORTS)
    )
    (folder / "janus.jcfg").write_text(core)
    (folder / "janus.transport.websockets.jcfg").write_text(WEBSOCKETS.format(port=port))
    for plugin in PLUGINS:
        (folder / f"janus.plugin.{plugin}.jcfg").write_text(NAMES_AS_IDS)
    return folder


def libraries(names: Iterable[str]) -> str:
    return ",".join(f"libjanus_{name}.so" for name in names)
