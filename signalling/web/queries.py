"""What an operation takes beside its path and body, as its description shows it."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalling.idempotency import HEADER, MAX_KEY_CHARACTERS
from signalling.web.endpoint import Parameter

IDEMPOTENCY_KEY: Final = Parameter(
    HEADER,
    "header",
    "A key of the caller's own for this request: repeated within a day, it is answered as the first time.",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
)


def query_parameters(kind: type[Struct]) -> Sequence[Parameter]:
    """The fields of the struct that `read_query` makes of the query string."""
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return [_parameter(name, dict(described)) for name, described in schema["properties"].items()]


def _parameter(name: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(name, "query", str(schema.pop("description", name.capitalize() + ".")), schema)
