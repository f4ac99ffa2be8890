"""The description of the API: all of it, all of its refusals, and examples that are what they say."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from sfu.contract.config import Config
from signalling.app import Signalling
from signalling.errors import CODES
from signalling.metrics import Metrics
from signalling.store import IN_MEMORY, Store
from signalling.web.endpoint import Operation
from signalling.web.openapi import codes_of, describe
from signalling.web.routes import operations_of
from tests.signalling.running import KEY, SECRET

SOURCE = Path(__file__).parents[3] / "signalling"

NOT_OF_ONE_OPERATION = {
    "method_not_allowed",
    "too_many_headers",
    "wrong_origin",  # WebSockets alone
}


@pytest.fixture(scope="module")
def operations() -> list[Operation]:
    config = Config(keys={KEY: SECRET}, development=True)
    return operations_of(Signalling(config, Store(IN_MEMORY), Metrics()))


@pytest.fixture(scope="module")
def document(operations: list[Operation]) -> dict[str, Any]:
    return json.loads(json.dumps(describe(operations, version="1.2.3")))  # type: ignore[no-any-return]


def described(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def raised_codes() -> dict[str, str]:
    """Every code that the source names where it refuses, and where."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in {"CommandError", "PeerError"} and node.args and isinstance(node.args[0], ast.Constant):
                found[str(node.args[0].value)] = f"{path.name}:{node.lineno}"
    return found


def test_every_code_that_is_raised_is_in_the_table() -> None:
    assert {code: where for code, where in raised_codes().items() if code not in CODES} == {}


def test_every_code_of_the_table_can_be_met() -> None:
    """As a literal somewhere besides the table: raised, or handed on from the sfu."""
    sources = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.name != "errors.py"}
    named = "\n".join(sources.values())
    assert [code for code in CODES if f'"{code}"' not in named and f"problem:{code}" not in named] == []


def test_every_code_belongs_to_an_operation(operations: list[Operation]) -> None:
    met = {code for operation in operations for code in codes_of(operation)}
    assert set(CODES) - met == NOT_OF_ONE_OPERATION
    assert met - set(CODES) == set()


def test_the_document_is_openapi_31(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    names = [operation["operationId"] for _, operation in described(document)]
    assert len(names) == len(set(names))
    jsonschema_rs.meta.validate({**document["components"]["schemas"]["Problem"]})
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_operation_has_what_a_reader_needs(document: dict[str, Any]) -> None:
    for name, operation in described(document):
        assert operation["summary"], name
        assert operation["tags"], name
        assert "429" in operation["responses"], name
        assert "500" in operation["responses"], name
        assert (operation.get("security") == []) != ("401" in operation["responses"]), name
        in_path = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert all(f"{{{each}}}" in name for each in in_path)
        assert name.count("{") == len(in_path)


def test_every_problem_says_which_codes_it_may_have(document: dict[str, Any]) -> None:
    for name, operation in described(document):
        for status, response in operation["responses"].items():
            if "application/problem+json" not in response.get("content", {}):
                continue
            content = response["content"]["application/problem+json"]
            (own,) = [part for part in content["schema"]["allOf"] if "properties" in part]
            codes = own["properties"]["code"]["enum"]
            assert codes, name
            assert {CODES[code].status for code in codes} == {int(status)}, name
            assert set(content["examples"]) == set(codes), name


def contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON body, asked or answered."""
    for name, operation in described(document):
        parts = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for part, value in parts.items():
            for media_type, content in value.get("content", {}).items():
                if media_type.endswith("json"):
                    yield f"{name} {part}", content


def test_every_json_body_has_a_schema_and_an_example_that_fits(document: dict[str, Any]) -> None:
    lacking = []
    for name, content in contents(document):
        schema = content["schema"]
        examples = [each["value"] for each in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        is_any_object = schema.get("type") == "object" and "properties" not in schema
        if not examples and not is_any_object:
            lacking.append(name)
        validator = jsonschema_rs.validator_for({**schema, "components": document["components"]})
        for example in examples:
            validator.validate(example)
    assert lacking == []
