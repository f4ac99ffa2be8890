"""The HTTP half of a WHIP or WHEP client (RFC 9725 §4), against a server that is a function."""

import httpx2
import pytest

from signalling.client.problem import RefusedError
from signalling.client.resource import Place, Resource, ResourceClient

PLACE = Place(url="http://palco.example/", space="a space", token="token")
CREATED = {"location": "/whip/a/session", "etag": '"one"'}


class Server:
    """Answers with what it was given, in turn, and remembers what it was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Remembers how long was slept."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


def client_of(server: Server, clock: Clock | None = None) -> ResourceClient:
    return ResourceClient("token", transport=httpx2.MockTransport(server), sleep=(clock or Clock()).sleep)


async def create(server: Server, *, patience_s: float = 0.0, clock: Clock | None = None) -> Resource:
    async with client_of(server, clock) as client:
        return await client.create(PLACE.endpoint("whip"), "offer", patience_s=patience_s)


def test_endpoints_are_named_by_the_space() -> None:
    assert PLACE.endpoint("whip") == "http://palco.example/whip/a%20space"
    assert PLACE.endpoint("whep") == "http://palco.example/whep/a%20space"
    assert PLACE.endpoint("stage") == "http://palco.example/v1/spaces/a%20space/sessions"


async def test_the_offer_goes_out_with_the_token_and_its_type() -> None:
    server = Server(httpx2.Response(201, headers=CREATED, text="answer"))
    await create(server)
    (request,) = server.requests
    assert (request.method, request.content) == ("POST", b"offer")
    assert request.headers["content-type"] == "application/sdp"
    assert request.headers["authorization"] == "Bearer token"


async def test_a_relative_location_is_found_and_the_etag_kept() -> None:
    resource = await create(Server(httpx2.Response(201, headers=CREATED, text="answer")))
    assert resource == Resource(url="http://palco.example/whip/a/session", answer="answer", etag='"one"', links=())


async def test_a_redirect_is_followed_with_body_and_token() -> None:
    there = httpx2.Response(307, headers={"location": "http://node2.example/whip/a"})
    server = Server(there, httpx2.Response(201, headers=CREATED, text="answer"))
    resource = await create(server)
    assert resource.url == "http://node2.example/whip/a/session"
    assert server.requests[1].content == b"offer"
    assert server.requests[1].headers["authorization"] == "Bearer token"


async def test_a_circle_of_redirects_ends() -> None:
    there = [httpx2.Response(307, headers={"location": "/whip/a"}) for _ in range(4)]
    with pytest.raises(RefusedError, match="again and again"):
        await create(Server(*there))


async def test_a_busy_server_is_asked_again_when_it_said() -> None:
    busy = httpx2.Response(503, headers={"retry-after": "2"})
    clock = Clock()
    server = Server(busy, busy, httpx2.Response(201, headers=CREATED, text="answer"))
    await create(server, patience_s=10, clock=clock)
    assert clock.slept_s == [2.0, 2.0]


async def test_patience_ends_with_the_last_refusal() -> None:
    busy = [httpx2.Response(503, headers={"retry-after": "4"}) for _ in range(3)]
    clock = Clock()
    with pytest.raises(RefusedError, match="503"):
        await create(Server(*busy), patience_s=10, clock=clock)
    assert clock.slept_s == [4.0, 4.0]


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_success_that_is_no_201_is_no_session(status: int) -> None:
    with pytest.raises(RefusedError, match="is no WHIP or WHEP endpoint"):
        await create(Server(httpx2.Response(status, headers=CREATED)))


async def test_a_201_without_a_location_is_no_session() -> None:
    with pytest.raises(RefusedError, match="is no WHIP or WHEP endpoint"):
        await create(Server(httpx2.Response(201, text="answer")))


async def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(RefusedError, match=r"Nothing answers at .*`palco up`"):
        await create(Server(httpx2.ConnectError("refused")))


async def test_a_silent_server_is_a_sentence() -> None:
    with pytest.raises(RefusedError, match="did not answer within 10 s"):
        await create(Server(httpx2.ReadTimeout("late")))


class TestTheEnd:
    RESOURCE = Resource(url="http://palco.example/whip/a/session", answer="", etag='"one"', links=())

    async def test_the_session_is_deleted(self) -> None:
        server = Server(httpx2.Response(200))
        async with client_of(server) as client:
            await client.delete(self.RESOURCE)
        (request,) = server.requests
        assert (request.method, str(request.url)) == ("DELETE", self.RESOURCE.url)

    @pytest.mark.parametrize("status", [404, 410])
    async def test_a_session_that_is_gone_already_is_no_error(self, status: int) -> None:
        async with client_of(Server(httpx2.Response(status))) as client:
            await client.delete(self.RESOURCE)

    async def test_any_other_refusal_is_told(self) -> None:
        async with client_of(Server(httpx2.Response(401))) as client:
            with pytest.raises(RefusedError, match="401"):
                await client.delete(self.RESOURCE)


class TestPatch:
    RESOURCE = TestTheEnd.RESOURCE

    async def test_trickle_names_the_etag_of_the_session(self) -> None:
        server = Server(httpx2.Response(204))
        async with client_of(server) as client:
            await client.patch(self.RESOURCE, "fragment")
        (request,) = server.requests
        assert request.headers["if-match"] == '"one"'
        assert request.headers["content-type"] == "application/trickle-ice-sdpfrag"

    async def test_a_restart_matches_any(self) -> None:
        server = Server(httpx2.Response(200, text="fragment"))
        async with client_of(server) as client:
            await client.patch(self.RESOURCE, "fragment", if_match="*")
        assert server.requests[0].headers["if-match"] == "*"
