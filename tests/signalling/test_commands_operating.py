"""`palco spaces`, `hands`, `mute` and their like, and `events`, as an operator types them at a running server."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sfu.contract.config import Limits
from signalling.__main__ import main
from tests.signalling import offers
from tests.signalling.running import KEY, SECRET, Server, running, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running(limits=Limits(requests_per_second=5000, request_burst=10_000)) as server:
        yield server


@pytest.fixture
def palco(server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    for name in [name for name in os.environ if name.startswith("PALCO")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PALCO_KEY", KEY)
    monkeypatch.setenv("PALCO_SECRET", SECRET)
    monkeypatch.setenv("PALCO_URL", server.url)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return Run(capsys)


class Run:
    """Runs a command line in a thread, beside the server's loop; `said` is its standard output."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def __call__(self, *arguments: str) -> str:
        code, said, complained = await self.fails(*arguments)
        assert code == 0, complained
        return said

    async def fails(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = await asyncio.to_thread(main, arguments)
        captured = self._capsys.readouterr()
        said = [line for line in captured.out.splitlines(keepends=True) if "[info " not in line]  # the server's log
        return code, "".join(said), captured.err


def new_name() -> str:
    return f"hall-{secrets.token_hex(5)}"


async def test_a_space_is_made_shown_changed_listed_and_ended(palco: Run) -> None:
    name = new_name()
    said = await palco("spaces", "create", "Town hall", "--id", name, "--as", "ada")
    assert f"Created: {name}" in said
    assert "Town hall" in await palco("spaces", "show", name)
    assert json.loads(await palco("spaces", "edit", name, "--title", "Part two", "--json"))["title"] == "Part two"
    assert name in await palco("spaces", "list")
    assert name in await palco("spaces", "list", "--host", "ada")
    assert "has ended for everyone" in await palco("spaces", "end", name)
    assert name not in await palco("spaces", "list")


async def test_a_scheduled_space_is_started_before_its_time(palco: Run) -> None:
    name = new_name()
    await palco("spaces", "create", "Jazz night", "--id", name, "--in", "2h", "--as", "ada")
    assert name in await palco("spaces", "list", "--upcoming")
    assert "live" in await palco("spaces", "start", name)
    assert name in await palco("spaces", "list")


async def test_hands_are_listed_and_answered(palco: Run, server: Server) -> None:
    name = new_name()
    await palco("spaces", "create", "Town hall", "--id", name, "--as", "ada")
    assert await palco("hands", "list", name) == "No hand is up.\n"
    for identity in ("cleo", "dan"):
        await server.join("stage", offers.stage_offer("sendrecv", "recvonly"), token(identity, name), name)
        await server.call("POST", f"/v1/spaces/{name}/hand", token(identity, name))
    assert [line.split()[0] for line in (await palco("hands", "list", name)).splitlines()] == [
        "IDENTITY",
        "cleo",
        "dan",
    ]
    assert await palco("hands", "accept", name, "cleo") == "cleo is on stage.\n"
    assert await palco("hands", "decline", name, "dan") == "dan stays in the audience.\n"


async def test_people_are_moderated(palco: Run, server: Server) -> None:
    name = new_name()
    await palco("spaces", "create", "Town hall", "--id", name, "--as", "ada")
    await server.join("whip", offers.WHIP, token("bob", name, can_publish=True), name)
    await palco("mute", name, "bob")
    assert (await server.roster(name))["bob"]["is_muted"]
    await palco("unmute", name, "bob")
    assert await palco("mute-all", name) == "Muted: bob.\n"
    await palco("demote", name, "bob")
    assert (await server.roster(name))["bob"]["role"] == "listener"
    await palco("promote", name, "bob")
    await palco("remove", name, "bob")
    assert "bob" not in await server.roster(name)


async def test_a_refusal_is_a_sentence_with_its_code(palco: Run) -> None:
    code, said, complained = await palco.fails("mute", "nowhere", "bob")
    assert (code, said) == (1, "")
    assert "404 unknown_space" in complained


async def test_a_given_token_is_used_and_none_is_made(palco: Run) -> None:
    name = new_name()
    await palco("spaces", "create", "Town hall", "--id", name, "--as", "ada")
    code, _, complained = await palco.fails("mute-all", name, "--token", token("lea", name))
    assert code == 1
    assert "403 missing_permission" in complained


async def test_events_are_followed_to_the_end(palco: Run, server: Server) -> None:
    name = new_name()
    await palco("spaces", "create", "Town hall", "--id", name, "--as", "ada")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signalling", "events", name, "--json", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    async with asyncio.timeout(60):
        first = json.loads(await process.stdout.readline())
        await palco("spaces", "end", name)
        rest = [json.loads(line) for line in (await process.stdout.read()).splitlines()]
        assert await process.wait() == 0
    assert first["type"] == "snapshot"
    assert first["cursor"] == f"{first['data']['epoch']}-{first['seq']}"
    assert rest[-1]["type"] == "space.ended"


@pytest.mark.parametrize("arguments", [["spaces", "edit", "hall"], ["spaces", "create", "x", "--at", "tomorrow"]])
async def test_what_was_not_said_is_asked_for(palco: Run, arguments: list[str]) -> None:
    code, _, complained = await palco.fails(*arguments)
    assert code == 2
    assert "palco: " in complained
