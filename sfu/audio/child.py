"""One mixer process as the sfu holds it. Edge."""

import asyncio
import contextlib
import mmap
import os
import socket
import sys

CRUMB_BYTES = 4


class Child:
    """One mixer process, our end of its socket, and the memory in which it notes what it works on."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        crumb: mmap.mmap,
        *,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self.reader = reader
        self.writer = writer
        self._crumb = crumb

    @classmethod
    async def spawn(cls, *arguments: str) -> "Child":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        crumb = os.memfd_create("palco-mixer")
        try:
            os.ftruncate(crumb, CRUMB_BYTES)
            memory = mmap.mmap(crumb, CRUMB_BYTES)
            descriptors = ("--control", str(theirs.fileno()), "--crumb", str(crumb))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sfu.audio", *descriptors, *arguments),
                pass_fds=(theirs.fileno(), crumb),
                stdin=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(crumb)
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, memory, reader=reader, writer=writer)

    @property
    def number(self) -> int:
        """Of the space that it works on, or worked on when it died; 0 for none."""
        return int.from_bytes(self._crumb[:CRUMB_BYTES], sys.byteorder)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
