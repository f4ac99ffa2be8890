"""What a stranger can take: header bytes, header time, body bytes, requests a second (threats T29, T31)."""

import asyncio
import json

import pytest

from sfu.contract.config import Cors, Limits
from signalling.web.http import MAX_HEADER_BYTES, MAX_HEADERS
from tests.signalling import offers
from tests.signalling.running import Server, host_token, running, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

WITHIN_S = 30.0


async def talk(server: Server, *pieces: bytes) -> bytes:
    """Sends `pieces` as they are, and returns all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(WITHIN_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_header_may_have_so_many_lines(server: Server) -> None:
    lines = b"".join(b"X-%d: x\r\n" % number for number in range(MAX_HEADERS + 1))
    answer = await talk(server, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["code"] == "too_many_headers"
    assert b"content-length: %d" % len(body) in head


async def test_a_header_line_without_end_is_cut_off(server: Server) -> None:
    endless = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (2 * MAX_HEADER_BYTES)
    assert (await talk(server, endless)).startswith(b"HTTP/1.1 431 ")


async def test_a_url_without_end_is_cut_off(server: Server) -> None:
    assert (await talk(server, b"GET /" + b"x" * (2 * MAX_HEADER_BYTES))).startswith(b"HTTP/1.1 431 ")


async def test_what_is_not_http_is_turned_away(server: Server) -> None:
    assert (await talk(server, b"\x16\x03\x01\x02\x00\x01\x00")).startswith(b"HTTP/1.1 400 ")


async def test_the_bounds_are_for_each_request_of_a_connection(server: Server) -> None:
    """Ten thousand bytes a request, sent one after the other over one connection, are within the bounds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n"
    for _ in range(5):
        writer.write(request)
        async with asyncio.timeout(WITHIN_S):
            assert (await reader.readuntil(b"alive\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_body_is_counted_whatever_it_claims(server: Server, hall: str) -> None:
    bearer = host_token(hall)
    announced = await server.call(
        "POST", "/v1/spaces", bearer, content=b"x" * 20_000, headers={"Content-Type": "application/json"}
    )

    async def chunks() -> object:
        for _ in range(20):
            yield b"x" * 1000

    unannounced = await server.call(
        "POST", "/v1/spaces", bearer, content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert [response.status_code for response in (announced, unannounced)] == [413, 413]
    assert announced.json()["limit"] == server.config.limits.body_bytes


async def test_one_who_asks_too_often_is_slowed_down_and_others_are_not() -> None:
    async with running(limits=Limits(requests_per_second=0.001, request_burst=3)) as server:
        bob, lea = token("bob"), token("lea")
        statuses = [(await server.call("GET", "/v1/spaces/hall/participants", bob)).status_code for _ in range(5)]
        refused = await server.call("GET", "/v1/spaces/hall/participants", bob)

        assert statuses == [404, 404, 404, 429, 429]
        assert refused.json()["code"] == "too_many_requests"
        assert 0 < int(refused.headers["retry-after"]) <= 1000
        assert (await server.call("GET", "/v1/spaces/hall/participants", lea)).status_code == 404


async def test_strangers_are_counted_by_address_and_do_not_use_up_what_is_others() -> None:
    async with running(limits=Limits(requests_per_second=0.001, request_burst=3)) as server:
        statuses = [(await server.call("GET", "/v1/spaces/hall", "guess")).status_code for _ in range(5)]

        assert statuses == [401, 401, 401, 429, 429]
        assert (await server.call("GET", "/v1/spaces/hall", token("bob"))).status_code == 404


async def test_the_number_of_sessions_has_an_end() -> None:
    async with running(limits=Limits(max_sessions=1)) as server:
        await server.make_space()
        assert (await server.join("whep", offers.WHEP, token("lea"))).status_code == 201
        response = await server.join("whep", offers.WHEP, token("max"))

    assert (response.status_code, response.json()["code"]) == (503, "overloaded")
    assert int(response.headers["retry-after"]) > 0


async def test_the_number_of_spaces_has_an_end() -> None:
    async with running(limits=Limits(max_spaces=1)) as server:
        await server.make_space()
        response = await server.call("POST", "/v1/spaces", host_token(), json={"title": "One more"})

    assert (response.status_code, response.json()["code"]) == (503, "overloaded")


async def test_only_allowed_origins_may_read_the_answers() -> None:
    async with running(cors=Cors(origins=["https://palco.example"])) as server:
        mine = await server.call("GET", "/livez", headers={"Origin": "https://palco.example"})
        theirs = await server.call("GET", "/livez", headers={"Origin": "https://evil.example"})

    assert mine.headers["access-control-allow-origin"] == "https://palco.example"
    assert "access-control-allow-origin" not in theirs.headers
    assert mine.headers["vary"] == theirs.headers["vary"] == "Origin"


async def test_two_authorizations_are_none(server: Server, hall: str) -> None:
    bob, ada = token("bob", hall), host_token(hall)
    request = (
        f"GET /v1/spaces/{hall} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {bob}\r\nAuthorization: Bearer {ada}\r\n\r\n"
    )
    assert (await talk(server, request.encode())).startswith(b"HTTP/1.1 400 ")
