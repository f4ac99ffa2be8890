"""JSON that says one thing to every reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.strict_json import loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 1}', '{"b": {"a": 1, "\\u0061": 2}}', "NaN", "[Infinity]", "-Infinity", "", "{", "[" * 100_000],
)
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own errors are ValueErrors, and any will do
        loads(text)
