"""What the server says of itself: OpenAPI, health, the page's headers, development tokens, unknown paths."""

import json
import re
import time
from typing import Any

import pytest
from jsonschema_rs import validator_for

from signalling.errors import CODES
from signalling.records import SpaceRecord
from signalling.store import IN_MEMORY, Store
from signalling.store.spaces import SpaceRepository
from signalling.tokens import RawToken, verify
from signalling.web.page import ROOT
from tests.signalling.running import KEY, SECRET, Server, host_token, running

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]


async def description(server: Server) -> dict[str, Any]:
    response = await server.call("GET", "/schema/openapi.json")
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


async def test_every_operation_is_described_with_its_errors(server: Server) -> None:
    document = await description(server)

    assert document["openapi"] == "3.1.0"
    assert len({operation["operationId"] for operation in operations(document)}) == len(operations(document))
    for operation in operations(document):
        assert "429" in operation["responses"]
        if operation.get("security") != []:
            assert "401" in operation["responses"]


async def test_every_code_that_the_api_can_answer_is_described_somewhere(server: Server) -> None:
    text = json.dumps(await description(server))
    elsewhere = {
        "not_found",  # no operation
        "method_not_allowed",
        "request_timeout",
        "too_many_headers",
        "wrong_origin",  # the WebSocket
        "space_exists",
    }
    assert {code for code in CODES if f"urn:palco:problem:{code}" not in text} <= elsewhere


async def test_examples_fit_their_schemas(server: Server) -> None:
    document = await description(server)
    checked = 0
    for operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                schema = {**content["schema"], "components": document["components"]}
                validator_for(schema).validate(content["example"])
                checked += 1
    assert checked >= 3


async def test_every_path_of_the_description_is_served(server: Server, hall: str) -> None:
    for path, methods in (await description(server))["paths"].items():
        filled = path.replace("{space}", hall).replace("{identity}", "bob").replace("{session}", "s" * 32)
        for method in methods:
            response = await server.call(method.upper(), filled)
            assert response.status_code not in {404, 405, 500}, (method, path)


async def test_live_and_ready(server: Server) -> None:
    assert (await server.call("GET", "/livez")).text == "alive\n"
    assert (await server.call("GET", "/readyz")).json() == {"status": "ready", "reasons": []}


async def test_an_unknown_path_is_a_problem_too(server: Server) -> None:
    for method, path in (("GET", "/v1/nothing"), ("POST", "/v1/nothing"), ("GET", "/../../etc/passwd"), ("GET", "/x")):
        response = await server.call(method, path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert response.headers["content-type"] == "application/problem+json"


async def test_the_page_runs_nothing_but_its_own(server: Server) -> None:
    """Whatever file it is: the headers are the same."""
    some_file = next(path for path in sorted(ROOT.rglob("*.js")) if path.is_file()).relative_to(ROOT)
    response = await server.call("GET", f"/{some_file.as_posix()}")

    policy = response.headers["content-security-policy"]
    assert response.status_code == 200
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'self'(;|$)", policy)
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_nobody_hands_out_tokens_in_production(server: Server) -> None:
    response = await server.call("POST", "/dev/tokens", json={"space": "hall"})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_development_hands_a_token_to_whoever_asks() -> None:
    async with running(development=True) as server:
        given = {}
        for role in ("host", "speaker", "listener"):
            response = await server.call("POST", "/dev/tokens", json={"space": "hall", "role": role, "name": "Ada"})
            assert response.status_code == 200
            given[role] = verify(RawToken(response.json()["token"]), keys={KEY: SECRET}, now_s=time.time())

    assert {role: (one.grants.room_admin, one.grants.can_publish) for role, one in given.items()} == {
        "host": (True, True),
        "speaker": (False, True),
        "listener": (False, False),
    }
    assert len({one.identity for one in given.values()}) == 3


class BrokenSpaces(SpaceRepository):
    """Raises what no code expects of it."""

    async def find(self, space: str) -> SpaceRecord | None:
        raise RuntimeError(f"the table of {space} is on fire")


async def test_a_fault_of_ours_says_nothing_about_itself() -> None:
    store = Store(IN_MEMORY)
    store.spaces = BrokenSpaces(store.database)
    async with running(store=store) as server:
        response = await server.call("GET", "/v1/spaces/attic", host_token("attic"))

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "fire" not in response.text
