"""From YAML text, environment and secret files to plain values for `config`. Edge (reads files).

Knows nothing of what keys mean: the shape comes from the Struct it is given.
"""

import difflib
import os
import typing
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from sfu.contract.config_error import SECRET_KEYS, ConfigError

COMMAND_VARIABLES = frozenset({"PALCO_CONFIG", "PALCO_KEY", "PALCO_SECRET", "PALCO_TOKEN", "PALCO_URL"})
"""Variables that are the commands' own and no configuration key."""


def gather(shape: type[msgspec.Struct], path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """The document with environment laid over it and secret files read in; every key is one of `shape`'s."""
    if path is not None:
        raw = _parse_yaml(str(path), _read(str(path), path))
    else:
        raw = _parse_yaml("PALCO_CONFIG", environ.get("PALCO_CONFIG", ""))
    _overlay(raw, shape, environ)
    _read_secret_files(raw)
    _refuse_unknown_keys(raw, shape, at="")
    return raw


def value_at(raw: Mapping[str, Any], key: str) -> object:
    """What the document says at a dotted key; None where it says nothing."""
    value: Any = raw
    for part in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def choices_at(shape: type[msgspec.Struct], key: str) -> tuple[str, ...]:
    """What a key may hold, as written; none where it is not a choice."""
    expected = _type_at(shape, key.split("."))
    choices = typing.get_args(expected) if typing.get_origin(expected) is typing.Literal else ()
    return tuple(map(str, choices))


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Where a socket lives: systemd's RuntimeDirectory, /run/palco, or the user's own."""
    return _folder(environ, "RUNTIME_DIRECTORY", Path("/run/palco"), environ.get("XDG_RUNTIME_DIR"))


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where a database lives: systemd's StateDirectory, /var/lib/palco, or the user's own."""
    return _folder(environ, "STATE_DIRECTORY", Path("/var/lib/palco"), environ.get("XDG_STATE_HOME"))


def _folder(environ: Mapping[str, str], variable: str, system: Path, users: str | None) -> Path:
    if given := environ.get(variable):
        return Path(given.split(":")[0])  # systemd joins several by colons
    if os.geteuid() == 0 or os.access(system, os.W_OK):
        return system
    return Path(users or Path(environ.get("HOME", "/")) / ".local" / "state") / "palco"


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, with a key written twice refused: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(str(key), None, "keep one of the two", says=f"is written again on line {line}")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _parse_yaml(source: str, text: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 a subclass of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        says = f"is not YAML at line {mark.line + 1}, column {mark.column + 1}" if mark else "is not YAML"
        remedy = getattr(error, "problem", None) or "check the indentation"
        raise ConfigError(source, None, remedy, says=says) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        remedy = "write `key: value` lines; see deploy/palco.example.yaml"
        raise ConfigError(source, None, remedy, says="has no keys")
    return {str(key): value for key, value in document.items()}


def _read(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(key, str(path), f"{error.strerror or error}; give a file that this user can read") from None
    except UnicodeDecodeError:
        raise ConfigError(key, str(path), "save the file as UTF-8 text") from None


def _overlay(raw: dict[str, Any], shape: type[msgspec.Struct], environ: Mapping[str, str]) -> None:
    """Lays `PALCO_SECTION__KEY` over the document."""
    for variable, text in sorted(environ.items()):
        if not variable.startswith("PALCO_") or variable in COMMAND_VARIABLES:
            continue
        parts = [part.lower() for part in variable.removeprefix("PALCO_").split("__")]
        if variable == "PALCO_PORT" and text.startswith("tcp://"):
            remedy = "Kubernetes sets this for a service called palco; set enableServiceLinks: false in the pod"
            raise ConfigError(variable, text, remedy)
        expected = _type_at(shape, parts)
        if expected is None:
            if len(parts) > 1 or _nearest(parts[0], _names(shape)):
                _refuse_unknown(variable, ".".join(parts), shape)
            continue  # some other program's variable
        value = text if expected is str else _parse_value(variable, text)
        if isinstance(value, str) and typing.get_origin(expected) is list:
            value = [part.strip() for part in value.split(",")]
        _put(raw, parts, value)


def _parse_value(variable: str, text: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 a subclass of SafeLoader
    except yaml.YAMLError:
        raise ConfigError(variable, text, "write the value as in YAML, such as  7882-7885  or  [a, b]") from None


def _put(raw: dict[str, Any], parts: list[str], value: object) -> None:
    section: Any = raw
    for part in parts[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            return  # the document has no section here; the conversion says so
    section[parts[-1]] = value


def _read_secret_files(raw: dict[str, Any]) -> None:
    for secret in SECRET_KEYS:
        *above, name = secret.split(".")
        for at, section in _sections_at(raw, above):
            if (path := section.pop(f"{name}_file", None)) is None:
                continue
            key = ".".join([*at, name])
            if section.get(name):
                raise ConfigError(f"{key}_file", path, f"{key} is set as well; keep one of the two")
            text = _read(f"{key}_file", Path(str(path)))
            section[name] = _parse_yaml(f"{key}_file", text) if name == "keys" else text.strip()


def _sections_at(section: object, above: list[str], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The sections that a pattern leads to, each with its place; `*` is every item of a list."""
    if not above:
        if isinstance(section, dict):
            yield at, section
        return
    first, *rest = above
    if first == "*" and isinstance(section, list):
        for index, item in enumerate(section):
            yield from _sections_at(item, rest, (*at, str(index)))
    elif isinstance(section, dict) and first in section:
        yield from _sections_at(section[first], rest, (*at, first))


def _refuse_unknown_keys(raw: Mapping[str, Any], shape: type[msgspec.Struct], *, at: str) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    for key, value in raw.items():
        path = f"{at}{key}"
        if key not in fields:
            _refuse_unknown(path, path, shape, names=list(fields))
        inner = fields[key]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, Mapping):
            _refuse_unknown_keys({str(name): item for name, item in value.items()}, inner, at=f"{path}.")


def _refuse_unknown(
    key: str, path: str, shape: type[msgspec.Struct], *, names: list[str] | None = None
) -> typing.NoReturn:
    *above, name = path.split(".")
    section = _type_at(shape, above) if above else shape
    if names is None:
        names = _names(section) if isinstance(section, type) and issubclass(section, msgspec.Struct) else _names(shape)
    near = _nearest(name, names)
    remedy = f"did you mean {near!r}?" if near else f"the keys here are {', '.join(sorted(names))}"
    raise ConfigError(key, None, remedy, says="is no key that Palco knows")


def _names(shape: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(shape)]


def _nearest(name: str, names: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.7)), None)


def _type_at(shape: type[msgspec.Struct], parts: list[str]) -> Any:
    """The type of a key, `str` for the `_file` form of a secret; None where there is no such key."""
    if ".".join(parts).removesuffix("_file") in SECRET_KEYS and parts[-1].endswith("_file"):
        return str
    current: Any = shape
    for part in parts:
        if not (isinstance(current, type) and issubclass(current, msgspec.Struct)):
            return None
        current = {field.encode_name: field.type for field in msgspec.structs.fields(current)}.get(part)
    return current
