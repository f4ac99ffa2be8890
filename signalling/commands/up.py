"""`palco up`: starts sfu and signalling and keeps them running. Edge (processes)."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
from rich.console import Console

from sfu.contract.config import Config, dump_config, load_config
from signalling.addresses import server_url
from signalling.commands.access import ROLE_GRANTS, Issuer, add_config_option, make_token
from signalling.commands.checks import port_problems
from signalling.commands.development import SPACE, Note, development_config, leave_note
from signalling.commands.failure import CommandFailedError
from signalling.commands.folders import prepare
from signalling.commands.supervisor import GaveUpError, Orders, Program, keep_running

EPILOG = """examples:
  palco up                                  development mode: this machine only, keys made on the spot
  PALCO_PORT=8000 palco up                  the same on another port
  palco up --config /etc/palco/palco.yaml   for others; deploy/palco.example.yaml explains every key

Either process is started again, with a word about it, when it dies. Ctrl-C or SIGTERM takes nobody new in and waits for
those who are in, at most drain.deadline_s (0 in development mode); a second time ends both at once. SIGHUP makes both
read keys, log level and limits again."""

ENDING = (signal.SIGINT, signal.SIGTERM)

READY_TIMEOUT_S = 30.0
POLL_S = 0.1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco up",
        description="Start Palco: the sfu (media) and signalling (HTTP).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_option(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    with ExitStack() as cleanup:
        if arguments.config is None and "PALCO_CONFIG" not in os.environ:
            directory = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="palco-"))
            config = development_config(Path(directory), os.environ)
            note = Note(pid=os.getpid(), url=server_url(config), config=dump_config(config))
            # The children get all of it in PALCO_CONFIG; what stood in single variables is in there already.
            environ = {**_without_overrides(os.environ), "PALCO_CONFIG": note.config}
            _refuse_port_problems(config)
            cleanup.enter_context(leave_note(note, port=config.port, environ=os.environ))
            return asyncio.run(_run(config, environ, config_path=None))
        config = load_config(arguments.config, os.environ)
        _refuse_port_problems(config)
        prepare(config)
        return asyncio.run(_run(config, os.environ, config_path=arguments.config))


async def _run(config: Config, environ: Mapping[str, str], *, config_path: Path | None) -> int:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    option = [] if config_path is None else ["--config", str(config_path)]
    sfu = Program("sfu", [sys.executable, "-m", "sfu", *option])
    signalling = Program("signalling", [sys.executable, "-m", "signalling", "signalling", *option])

    def say(text: str) -> None:
        console.print(f"palco: {text}.")

    with _Household() as household:
        say("starting sfu and signalling")
        greeting = asyncio.create_task(_greet(config, household.sfu.stop, console))
        try:
            await _keep_both(sfu, signalling, environ=environ, household=household, say=say)
        except GaveUpError as error:
            say(f"{error}; what it said is above")
            return error.exit_code
        finally:
            greeting.cancel()
            await asyncio.gather(greeting, return_exceptions=True)
            say("stopped")
    return 0


class _Household:
    """What our own signals mean for either child: the sfu first, since signalling serves those whom it waits for."""

    def __init__(self) -> None:
        self.sfu, self.signalling = Orders(), Orders()
        self._task = asyncio.current_task()

    def __enter__(self) -> "_Household":
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._on_ending)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (*ENDING, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _on_ending(self) -> None:
        if self.sfu.now.is_set() and self._task is not None:
            self._task.cancel()  # a third time: without a goodbye
        elif self.sfu.stop.is_set():
            self.sfu.now.set()
        else:
            self.sfu.stop.set()

    def _on_reload(self) -> None:
        self.sfu.reload.set()
        self.signalling.reload.set()


async def _keep_both(
    sfu: Program, signalling: Program, *, environ: Mapping[str, str], household: _Household, say: Callable[[str], None]
) -> None:
    """Runs both until the sfu has ended as it was told, or until one gives up. Signalling ends last."""
    below = asyncio.create_task(keep_running(sfu, environ=environ, orders=household.sfu, say=say))
    above = asyncio.create_task(keep_running(signalling, environ=environ, orders=household.signalling, say=say))
    try:
        await asyncio.wait({above, below}, return_when=asyncio.FIRST_COMPLETED)
        household.sfu.stop.set()
        await asyncio.wait({below})
        household.signalling.stop.set()
        await asyncio.wait({above})
    finally:  # after a third signal: now
        for child in (above, below):
            child.cancel()
        outcomes = await asyncio.gather(above, below, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _greet(config: Config, stop: asyncio.Event, console: Console) -> None:
    """Waits until joins are possible, then says what to do next."""
    url = server_url(config)
    loop = asyncio.get_running_loop()
    late_s = loop.time() + READY_TIMEOUT_S
    async with httpx2.AsyncClient(trust_env=False, timeout=2.0) as http:
        while not stop.is_set():
            with suppress(httpx2.TransportError):
                if (await http.get(f"{url}/readyz")).is_success:
                    break
            if loop.time() >= late_s:
                console.print(
                    f"palco: not ready after {READY_TIMEOUT_S:.0f} s; see above, or try `{_typed('doctor')}`."
                )
                late_s = float("inf")
            await asyncio.sleep(POLL_S)
        else:
            return
        if config.development:
            await _open_demo_space(http, config, url)
    console.print(greeting_text(config, url))


async def _open_demo_space(http: httpx2.AsyncClient, config: Config, url: str) -> None:
    """So that whoever listens before anyone speaks finds a space; that it exists already is fine."""
    key, secret = next(iter(config.keys.items()))
    issuer = Issuer(key=key, secret=secret, url=url, space=SPACE)
    token = make_token(issuer, ROLE_GRANTS["host"], space=SPACE, identity="host", name=None, ttl_s=60.0)
    with suppress(httpx2.TransportError):
        await http.post(
            f"{url}/v1/spaces",
            json={"id": SPACE, "title": "Demo", "audience": "mix"},
            headers={"Authorization": f"Bearer {token}"},
        )


def greeting_text(config: Config, url: str) -> str:
    """What to open and what to type next."""
    if not config.development:
        return f"palco: ready at {url}, media on UDP {', '.join(map(str, config.rtc.udp_ports))}."
    return f"""
Palco runs in development mode: for this machine only, with keys made for this run.

  Open in a browser    {url}/
  Speak a tone         {_typed("publish --tone 440")}
  Speak a file         {_typed("publish FILE")}
  Hear and record      {_typed("listen -o heard.wav --duration 10")}
  Make a token         {_typed(f"token --space {SPACE} --role host")}
  Check this machine   {_typed("doctor")}

The commands find this server by themselves; type them in another terminal. Ctrl-C here stops it.
"""


def _typed(arguments: str) -> str:
    """The command as it works when typed here: `palco` if that is this one, else by its path."""
    beside = Path(sys.executable).with_name("palco")
    found = shutil.which("palco")
    if not beside.exists():
        return f"{sys.executable} -m signalling {arguments}"
    if found and Path(found).resolve() == beside.resolve():
        return f"palco {arguments}"
    with suppress(ValueError):
        beside = beside.relative_to(Path.cwd())
    return f"{beside} {arguments}"


def _without_overrides(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("PALCO_")}


def _refuse_port_problems(config: Config) -> None:
    if problems := port_problems(config):
        first = problems[0]
        raise CommandFailedError(
            f"{first.key}: {first.protocol} port {first.port} at {first.address} cannot be had: {first.why}. "
            f"What to do: {first.remedy}."
        )
