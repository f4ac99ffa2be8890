"""What of a changed configuration a running process takes up, and what it says needs a restart. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sfu.contract.config_sections import Config


class Reload(Struct, frozen=True):
    """What a reading of the file comes to; the keys are dotted, and only named: their values may be secret."""

    config: Config
    """What is in force from now on."""
    taken: tuple[str, ...]
    refused: tuple[str, ...]
    """Changed in the file; the value from the start stays in force until a restart."""


def plan_reload(running: Config, read: Config) -> Reload:
    """API keys, the log level and the limits may change while the process runs."""
    if read.rtc.use_external_ip:
        # What was found at the start stands in the running one's place for it.
        read = replace(read, rtc=replace(read.rtc, node_ips=running.rtc.node_ips))
    logging = replace(running.logging, level=read.logging.level)
    config = replace(running, keys=read.keys, limits=read.limits, logging=logging)
    return Reload(config, taken=_differences(running, config), refused=_differences(config, read))


def _differences(one: Config, other: Config) -> tuple[str, ...]:
    before, after = dict(_leaves(msgspec.to_builtins(one))), dict(_leaves(msgspec.to_builtins(other)))
    return tuple(key for key in before if before[key] != after[key])


def _leaves(section: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value; the API keys are one value, their names come and go."""
    for name, value in section.items():
        if isinstance(value, dict) and name != "keys":
            yield from _leaves(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", value
