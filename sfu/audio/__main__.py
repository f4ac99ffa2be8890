"""The mixer process, started by the sfu: `python -m sfu.audio --control FD --crumb FD`. Edge."""

import argparse
import asyncio
import mmap
import os
import signal
import socket
import sys

CRUMB_BYTES = 4


def main() -> int:
    arguments = _parse()
    # One space's numbers are far too few for a second thread, which would only wait in a spin. Before numpy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from sfu.audio.process import MixerProcess  # noqa: PLC0415 - see above
    from sfu.contract.log import set_up_logging  # noqa: PLC0415

    # Both are for the sfu, which may mix on for a while and then closes the control socket. A service manager and a
    # terminal send them to all of its processes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    set_up_logging(level=arguments.log_level, format=arguments.log_format, process="mixer")
    control = socket.socket(fileno=arguments.control)
    control.setblocking(False)
    crumb = mmap.mmap(arguments.crumb, CRUMB_BYTES)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(MixerProcess(control, crumb).run())
    return 0


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415

    return uvloop.new_event_loop()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sfu.audio", description="Mixes spaces; started by the sfu.")
    parser.add_argument("--control", type=int, required=True, metavar="FD", help="inherited stream socket")
    parser.add_argument("--crumb", type=int, required=True, metavar="FD", help="inherited shared memory")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", default="json", choices=["json", "console"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
