"""The OpenAPI 3.1 description, made from the operations that are served and the types that they use."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from signalling.errors import CODES, RETRY_AFTER_S
from signalling.resources import SPACE_ID_PATTERN, Problem
from signalling.web.answers import PROBLEM
from signalling.web.endpoint import Answer, Operation

_REF: Final = "#/components/schemas/{name}"
_COMMON: Final = ("too_many_requests", "internal")
_TOKEN: Final = ("unauthenticated", "bad_token")
_HEADER_SCHEMAS: Final = {
    "Location": "Where it is, relative to this server.",
    "ETag": "A strong entity tag (RFC 9110 §8.8.3).",
}
_PATH_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "space": {"type": "string", "pattern": SPACE_ID_PATTERN},
    "identity": {"type": "string", "minLength": 1, "maxLength": 128},
    "session": {"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$"},
}


def describe(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    types = list(_types_of(operations))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palco",
            "version": version,
            "summary": "Live audio spaces: signalling.",
            "description": (
                "Errors are `application/problem+json` (RFC 9457); act on `code`, which is stable. "
                "WHIP is RFC 9725, WHEP draft-ietf-wish-whep-04."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "HS256; `iss` API key, `sub` identity, `exp`, and LiveKit's `video` grants.",
                }
            },
        },
    }


def _types_of(operations: Sequence[Operation]) -> Iterable[Any]:
    seen: dict[Any, None] = {Problem: None}
    for operation in operations:
        for kind in (operation.body, *(answer.schema for answer in operation.answers)):
            if kind is not None and kind is not str:
                seen[kind] = None
    return seen


def _operation(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, schema_of),
    }
    if operation.is_public:
        described["security"] = []
    if names := re.findall(r"{(\w+)}", operation.path):
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]} for name in names
        ]
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schema_of.get(operation.body, {"type": "string"})}
        if operation.example is not None:
            content["example"] = operation.example
        described["requestBody"] = {
            "required": operation.is_body_required,
            "content": {operation.body_media_type: content},
        }
    return described


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"[A-Za-z0-9]+", operation.path.replace("/v1/", "/"))
    return "_".join([operation.method.lower(), *words])


def _responses(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    responses = {str(answer.status): _answer(answer, schema_of) for answer in operation.answers}
    codes = {*operation.codes, *_COMMON, *(() if operation.is_public else _TOKEN)}
    by_status: dict[int, list[str]] = {}
    for code in CODES:
        if code in codes:
            by_status.setdefault(CODES[code].status, []).append(code)
    for status, group in by_status.items():
        responses.setdefault(str(status), _problems(group, schema_of))
    return responses


def _answer(answer: Answer, schema_of: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.schema is not None:
        media_type = answer.media_type or "application/json"
        described["content"] = {media_type: {"schema": schema_of.get(answer.schema, {"type": "string"})}}
    if answer.headers:
        described["headers"] = {
            name: {"required": True, "description": _HEADER_SCHEMAS[name], "schema": {"type": "string"}}
            for name in answer.headers
        }
    return described


def _problems(codes: Sequence[str], schema_of: dict[Any, Any]) -> dict[str, Any]:
    examples = {
        code: {
            "value": {
                "type": f"urn:palco:problem:{code}",
                "title": CODES[code].title,
                "status": CODES[code].status,
                "detail": CODES[code].title + ".",
                "code": code,
            }
        }
        for code in codes
    }
    described: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {CODES[code].title}" for code in codes) + ".",
        "content": {PROBLEM: {"schema": schema_of[Problem], "examples": examples}},
    }
    if any(code in RETRY_AFTER_S for code in codes):
        described["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return described
