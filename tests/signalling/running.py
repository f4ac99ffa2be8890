"""A signalling server of the test's own, in this process, on a free port, before a scripted sfu. Edge (sockets)."""

import asyncio
import contextlib
import json
import re
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from sfu.contract.config import Config, Control
from sfu.contract.config import Metrics as MetricsSettings
from signalling import server
from signalling.metrics import Metrics
from signalling.store import Store
from signalling.tokens import Grants, PalcoGrants, mint
from signalling.web.endpoint import Operation
from signalling.web.openapi import codes_of
from signalling.web.routes import operations_of
from tests.signalling.scripted_sfu import ScriptedSfu

KEY = "test-key"
SECRET = secrets.token_hex(32)

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}

READY_WITHIN_S = 30.0


def token(
    identity: str, space: str = "hall", *, age_s: float = 0.0, palco: PalcoGrants | None = None, **grants: Any
) -> str:
    """As an application would mint it; `can_publish=True` and the like are grants."""
    given = {"room": space, "room_join": True, **grants}
    return mint(
        key=KEY,
        secret=SECRET,
        identity=identity,
        name=identity.title(),
        grants=Grants(**given),
        now_s=time.time() - age_s,
        lifetime_s=7200.0,
        palco=palco,
    )


def host_token(space: str = "hall") -> str:
    return token("ada", space, room_create=True, room_list=True, room_admin=True, can_publish=True)


class Server:
    """A running server: `http` for requests, `sfu` for what it told."""

    def __init__(self, config: Config, sfu: ScriptedSfu, store: Store) -> None:
        self.config = config
        self.sfu = sfu
        self.store = store
        self.ahead_s = 0.0
        """How far the server's clock is moved; what waits for a time looks at it anew after a restart."""
        self.url = f"http://127.0.0.1:{config.port}"
        self.http = httpx2.AsyncClient(base_url=self.url, trust_env=False)

    async def start(self) -> None:
        self._server = server.Server(self.config, self.store, clock=lambda: time.time() + self.ahead_s)
        self._operations = operations_of(self._server.app)
        self._task = asyncio.create_task(self._server.run_until_stopped())
        await self.eventually("/readyz", 200)

    @property
    def metrics(self) -> Metrics:
        return self._server.app.metrics

    @property
    def operations(self) -> list[Operation]:
        """Everything that can be called."""
        return self._operations

    async def stop(self) -> None:
        """As SIGTERM would; the sfu stays."""
        self._server.should_exit = True
        await self._task

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def eventually(self, path: str, status: int, bearer: str | None = None) -> httpx2.Response:
        """The first answer with `status`; fails after some time without one."""
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    response = await self.call("GET", path, bearer)
                    if response.status_code == status:
                        return response
                await asyncio.sleep(0.01)

    async def call(self, method: str, path: str, bearer: str | None = None, **more: Any) -> httpx2.Response:
        headers = dict(more.pop("headers", {}))
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        response = await self.http.request(method, path, headers=headers, **more)
        self._check_is_described(method, path, response)
        return response

    def _check_is_described(self, method: str, path: str, response: httpx2.Response) -> None:
        """Every refusal that any test meets stands in the description of its operation."""
        if method == "HEAD" or response.headers.get("content-type") != "application/problem+json":
            return
        for operation in self._operations:
            template = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(operation.path))
            if operation.method == method and re.fullmatch(template, path.partition("?")[0]):
                assert response.json()["code"] in codes_of(operation), f"{method} {operation.path}: {response.text}"

    async def make_space(self, space: str = "hall", **wishes: Any) -> None:
        response = await self.call(
            "POST", "/v1/spaces", host_token(space), json={"id": space, "title": "Town hall", **wishes}
        )
        assert response.status_code == 201, response.text

    async def join(self, kind: str, offer: str, bearer: str, space: str = "hall") -> httpx2.Response:
        path = f"/v1/spaces/{space}/sessions" if kind == "stage" else f"/{kind}/{space}"
        return await self.call("POST", path, bearer, content=offer, headers=SDP)

    async def act(self, act: str, identity: str, bearer: str, space: str = "hall", **more: Any) -> httpx2.Response:
        return await self.call("POST", f"/v1/spaces/{space}/participants/{identity}/{act}", bearer, **more)

    async def roster(self, space: str = "hall") -> dict[str, dict[str, Any]]:
        response = await self.call("GET", f"/v1/spaces/{space}/participants", host_token(space))
        assert response.status_code == 200, response.text
        return {person["identity"]: person for person in response.json()["participants"]}

    async def eventually_space(self, holds: Callable[[dict[str, Any]], bool], space: str = "hall") -> dict[str, Any]:
        """The space as soon as `holds` is true of it; time and the sfu's reports do their part by themselves."""
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    response = await self.call("GET", f"/v1/spaces/{space}", host_token(space))
                    if response.status_code == 200 and holds(response.json()):
                        return dict(response.json())
                await asyncio.sleep(0.02)

    async def snapshot(self, bearer: str, space: str = "hall") -> dict[str, Any]:
        """What a new watcher is shown first."""
        headers = {"Authorization": f"Bearer {bearer}"}
        async with (
            asyncio.timeout(READY_WITHIN_S),
            self.http.stream("GET", f"/v1/spaces/{space}/events", headers=headers) as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    return dict(json.loads(line.removeprefix("data: "))["data"])
        raise AssertionError("the stream ended before its snapshot")

    async def until_roster(self, holds: Callable[[dict[str, Any]], bool], space: str = "hall") -> dict[str, Any]:
        """The first roster of which `holds` is true; what the sfu reports arrives in its own time."""
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                roster = await self.roster(space)
                if holds(roster):
                    return roster


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running(*, store: Store | None = None, **settings: Any) -> AsyncIterator[Server]:
    """`async with running(whip=Whip(video="discard")) as server:`"""
    with tempfile.TemporaryDirectory(prefix="palco-") as directory:
        path = Path(directory) / "sfu.sock"
        config = Config(
            port=free_port(),
            keys={KEY: SECRET},
            metrics=MetricsSettings(signalling_port=0, sfu_port=0),
            control=Control(socket=str(path)),
        )
        config = msgspec.structs.replace(config, **settings)
        async with ScriptedSfu(path) as sfu:
            running_server = Server(config, sfu, store or Store(f"sqlite:///{directory}/palco.db"))
            await running_server.start()
            try:
                yield running_server
            finally:
                await running_server.http.aclose()
                await running_server.stop()
