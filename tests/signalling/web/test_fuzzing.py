"""Schemathesis asks a running server for everything that its description allows, and much that it does not."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, CheckFunction, GenerationMode, Response
from schemathesis.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from sfu.contract.config import Config
from signalling.app import Signalling
from signalling.metrics import Metrics
from signalling.store import IN_MEMORY, Store
from signalling.web.openapi import describe
from signalling.web.routes import operations_of
from tests.harness.processes import Palco
from tests.harness.room import mint
from tests.signalling import offers

pytestmark = pytest.mark.live

HALL = "hall"
EXAMPLES = 15

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    missing_required_header,
    ignored_auth,
    unsupported_method,
    allow_header_conformance,
]
"""And for what breaks the description of a body or a query: that it is refused."""

ANSWERED = frozenset({ParameterLocation.BODY, ParameterLocation.QUERY})
"""The parts of a request that are asked as they were generated; paths and tokens are put right."""

ENDLESS = "/v1/spaces/{space}/events"
"""An event stream has no end to wait for; it has tests of its own."""

FINAL = frozenset({"/v1/spaces/{space}/end", "/v1/operator/spaces/{space}/end", "/v1/spaces/{space}/cancel"})
"""Asked of spaces that are not the one in which everything else happens."""


Operation = APIOperation[Any, Any, Any, Any]


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def in_text(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


def described() -> dict[str, Operation]:
    app = Signalling(Config(keys={"k": "s" * 32}), Store(IN_MEMORY), Metrics())
    schema = schemathesis.openapi.from_dict(describe(operations_of(app), version="0")).exclude(path=ENDLESS)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return {operation.label: operation for operation in found}


OPERATIONS = described()


def refusal(context: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """Too large is a good reason too; Schemathesis does not know it."""
    return None if response.status_code == 413 else negative_data_rejection(context, response, case)


def checks_of(case: Case[Any]) -> list[CheckFunction]:
    parts = case.meta.components if case.meta else {}
    broken = {place for place, part in parts.items() if part.mode == GenerationMode.NEGATIVE}
    return [*CHECKS, refusal] if broken and broken <= ANSWERED else CHECKS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palco]:
    limits = {"requests_per_second": 100_000, "request_burst": 100_000, "max_spaces": 100_000}
    palco = Palco(tmp_path_factory.mktemp("fuzzed"), overrides={"limits": limits})
    palco.start()
    try:
        with httpx2.Client(base_url=palco.url, trust_env=False) as http:
            made = http.post("/v1/spaces", json={"id": HALL, "title": "Hall"}, headers=authorization(palco))
            assert made.status_code == 201, made.text
            bob = {"Authorization": f"Bearer {mint(palco, 'bob', HALL, canPublish=True)}"}
            headers = {"Content-Type": "application/sdp", **bob}
            assert http.post(f"/whip/{HALL}", content=offers.WHIP, headers=headers).status_code == 201
        yield palco
    finally:
        palco.stop()


def authorization(palco: Palco) -> dict[str, str]:
    everything = {"roomCreate": True, "roomList": True, "roomAdmin": True, "canPublish": True}
    return {"Authorization": f"Bearer {mint(palco, 'ada', HALL, **everything)}"}


@pytest.mark.parametrize("label", OPERATIONS)
def test_whatever_is_asked_the_answer_is_as_described(label: str, served: Palco) -> None:
    operation = OPERATIONS[label]
    cases: st.SearchStrategy[Case[Any]] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if operation.body or operation.query:
        cases = st.one_of(cases, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        if operation.path not in FINAL and "space" in case.path_parameters and secrets.randbelow(4):
            case.path_parameters["space"] = HALL
        if "identity" in case.path_parameters and secrets.randbelow(2):
            case.path_parameters["identity"] = "bob"
        case.call_and_validate(base_url=served.url, headers=authorization(served), checks=checks_of(case))

    ask()
