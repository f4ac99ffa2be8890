"""The OpenAPI 3.1 description, made from the operations that are served and the types that they use."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from signalling.errors import CODES, RETRY_AFTER_S
from signalling.resources import SPACE_ID_PATTERN, Problem
from signalling.web.answers import PROBLEM
from signalling.web.endpoint import Answer, Operation
from signalling.web.examples import EXAMPLES
from signalling.web.queries import IDEMPOTENCY_KEY
from signalling.webhooks import CONTENT_TYPE, WEBHOOKS, WebhookBody, WebhookType

_REF: Final = "#/components/schemas/{name}"
_COMMON: Final = ("too_many_requests", "internal")
_TOKEN: Final = ("unauthenticated", "bad_token", "banned")
_KEY: Final = ("idempotency_key_reused", "idempotency_key_in_flight", "too_many_idempotency_keys")
_BODY: Final = ("bad_request", "request_timeout", "too_large", "unsupported_media_type")
_HEADER_SCHEMAS: Final = {
    "Location": "Where it is, relative to this server.",
    "Link": 'One for each STUN or TURN server that the client may use, `rel="ice-server"` (RFC 9725 §4.6).',
    "ETag": "A strong entity tag (RFC 9110 §8.8.3).",
}
_PATH_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "space": {"type": "string", "pattern": SPACE_ID_PATTERN},
    "identity": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"},
    "session": {"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$"},
    "ticket": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
    "link": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
    "report": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
    "delivery": {"type": "string", "pattern": "^[0-9]{1,18}$"},
}


def describe(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    types = list(_types_of(operations))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    components["Problem"]["properties"]["code"]["enum"] = list(CODES)
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
        "webhooks": {kind: {"post": _webhook(kind, schema_of)} for kind in WEBHOOKS},
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
    seen: dict[Any, None] = {Problem: None, WebhookBody: None}
    seen |= {webhook.told: None for webhook in WEBHOOKS.values()}
    for operation in operations:
        for kind in (operation.body, *(answer.schema for answer in operation.answers)):
            if kind is not None and kind is not str:
                seen[kind] = None
    return seen


def _webhook(kind: WebhookType, schema_of: dict[Any, Any]) -> dict[str, Any]:
    body = {"properties": {"type": {"const": kind}, "data": schema_of[WEBHOOKS[kind].told]}}
    return {
        "operationId": f"webhook_{kind.replace('.', '_')}",
        "summary": WEBHOOKS[kind].summary,
        "description": "Sent to `webhook.urls`, at least once; `Authorization` is LiveKit's signature of the body.",
        "tags": ["webhooks"],
        "requestBody": {
            "required": True,
            "content": {CONTENT_TYPE: {"schema": {"allOf": [schema_of[WebhookBody], body]}}},
        },
        "responses": {"2XX": {"description": "Taken. Whatever else is answered, it is sent again."}},
    }


def _operation(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, schema_of),
    }
    if operation.is_public:
        described["security"] = []
    if parameters := [*_path_parameters(operation), *_other_parameters(operation)]:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schema_of.get(operation.body, {"type": "string"})}
        example = EXAMPLES.get(operation.body) if operation.example is None else operation.example
        if example is not None:
            content["example"] = example
        described["requestBody"] = {
            "required": operation.is_body_required,
            "content": {operation.body_media_type: content},
        }
    return described


def _path_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}


def _other_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for parameter in [*operation.parameters, *([IDEMPOTENCY_KEY] if operation.is_creating else [])]:
        yield {
            "name": parameter.name,
            "in": parameter.place,
            "description": parameter.description,
            "schema": dict(parameter.schema),
        }


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"[A-Za-z0-9]+", operation.path.replace("/v1/", "/"))
    return "_".join([operation.method.lower(), *words])


def _responses(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    responses = {str(answer.status): _answer(answer, schema_of) for answer in operation.answers}
    codes = codes_of(operation)
    by_status: dict[int, list[str]] = {}
    for code in CODES:
        if code in codes:
            by_status.setdefault(CODES[code].status, []).append(code)
    for status, group in by_status.items():
        responses.setdefault(str(status), _problems(group, schema_of))
    return responses


def codes_of(operation: Operation) -> set[str]:
    """Every code that the operation may answer with."""
    by_token = () if operation.is_public else _TOKEN
    by_body = () if operation.body is None else _BODY
    by_key = _KEY if operation.is_creating else ()
    by_path = ("not_found",) if "{" in operation.path else ()  # what cannot be a name leads nowhere
    by_store = () if operation.is_public else ("store_unavailable",)
    return {*operation.codes, *_COMMON, *by_token, *by_body, *by_key, *by_path, *by_store}


def _answer(answer: Answer, schema_of: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.schema is not None:
        media_type = answer.media_type or "application/json"
        content: dict[str, Any] = {"schema": schema_of.get(answer.schema, {"type": "string"})}
        example = EXAMPLES.get(answer.schema) if answer.example is None else answer.example
        if example is not None:
            content["example"] = example
        described["content"] = {media_type: content}
    if answer.headers:
        described["headers"] = {
            name: {"required": name != "Link", "description": _HEADER_SCHEMAS[name], "schema": {"type": "string"}}
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
        "content": {PROBLEM: {"schema": _problem_schema(codes, schema_of), "examples": examples}},
    }
    if any(code in RETRY_AFTER_S for code in codes):
        described["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return described


def _problem_schema(codes: Sequence[str], schema_of: dict[Any, Any]) -> dict[str, Any]:
    return {"allOf": [schema_of[Problem], {"properties": {"code": {"enum": list(codes)}}}]}
