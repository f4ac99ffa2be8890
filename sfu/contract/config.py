"""Palco's configuration: one YAML document that both processes read. Edge (files, environment given by the caller).

`deploy/palco.example.yaml` says what each key means to an operator. What is wrong stops the start with a `ConfigError`
that names the key, its value (never a secret's) and the remedy. There is no default secret.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace

from sfu.contract.config_checks import check_config
from sfu.contract.config_error import ConfigError
from sfu.contract.config_sections import (
    Config,
    Control,
    Cors,
    Drain,
    Limits,
    Logging,
    Metrics,
    Mixer,
    Page,
    Relations,
    Retention,
    Rtc,
    Spaces,
    Store,
    Tracing,
    TurnServer,
    Webhook,
    Whip,
)
from sfu.contract.config_source import choices_at, gather, runtime_folder, state_folder, value_at


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of the file at `path`, else of the YAML in PALCO_CONFIG, else all defaults.

    Above either stand single values, `PALCO_RTC__UDP_PORTS=7882-7885`. `keys_file`, `control.secret_file`,
    `store.url_file` and the like name files that hold the secret. Raises ConfigError.
    """
    raw = gather(Config, path, environ)
    _spell_out_rtc(raw)
    config = _name_files(_convert(raw), environ)
    check_config(config)
    return config


def dump_config(config: Config) -> str:
    """YAML that `load_config` reads back to the same; it holds the secrets."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False)


def parse_ports(value: object) -> list[int]:
    """`7882`, `"7882-7885"`, `"7882,7884"` or a list of these, as port numbers in the order written."""
    if isinstance(value, list):
        return [port for item in value for port in parse_ports(item)]
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, str):
        if "," in value:
            return parse_ports([part.strip() for part in value.split(",")])
        if match := re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", value):
            first, last = int(match[1]), int(match[2] or match[1])
            if first <= last:
                return list(range(first, last + 1))
    raise ConfigError("rtc.udp_ports", value, "write a port (7882), a range (7882-7885) or a list of ports")


def _spell_out_rtc(raw: dict[str, Any]) -> None:
    """Replaces the short forms of `rtc` by lists; node_ip defaults to a bind address that is one real address."""
    rtc = raw.setdefault("rtc", {})
    if not isinstance(rtc, dict):
        return  # the conversion names it
    if "udp_ports" in rtc:
        rtc["udp_ports"] = parse_ports(rtc["udp_ports"])
    if isinstance(rtc.get("node_ip"), str):
        rtc["node_ip"] = [rtc["node_ip"]]
    bind_address = rtc.get("bind_address", Rtc().bind_address)
    if (
        not rtc.get("node_ip")
        and not rtc.get("use_external_ip")
        and isinstance(bind_address, str)
        and not _is_wildcard(bind_address)
    ):
        rtc["node_ip"] = [bind_address]


def _convert(raw: dict[str, Any]) -> Config:
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        key = re.sub(r"\[(\d+)\]", r".\1", where.rstrip("`").replace("[...]", "")).strip(".") or "the configuration"
        raise ConfigError(key, value_at(raw, key), _remedy(what, choices_at(Config, key))) from None


def _name_files(config: Config, environ: Mapping[str, str]) -> Config:
    """Defaults for socket and database. They carry the port, so that two servers on a machine share neither."""
    control, store = config.control, config.store
    if not control.socket:
        control = replace(control, socket=str(runtime_folder(environ) / f"sfu-{config.port}.sock"))
    if not store.url:
        store = replace(store, url=f"sqlite:///{state_folder(environ)}/palco-{config.port}.db")
    return replace(config, control=control, store=store)


def _remedy(complaint: str, choices: tuple[str, ...]) -> str:
    """msgspec's complaint, turned round into what to write."""
    if choices:
        return f"write {' or '.join(choices)}"
    expected = re.match(r"Expected (.+?)(?:, got .+)?$", complaint)
    if expected is None:
        return f"{complaint}; see deploy/palco.example.yaml"
    plain = expected[1].replace("`", "").replace(" | null", "")
    for theirs, ours in (
        ("str", "text (in quotes)"),
        ("int", "a number"),
        ("float", "a number"),
        ("bool", "true or false"),
    ):
        plain = re.sub(rf"\b{theirs}\b", ours, plain)
    plain = plain.replace("object", "its keys, indented").replace("array", "a list")
    return f"write {plain}; see deploy/palco.example.yaml"


def _is_wildcard(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return True  # not an address; the checks name it


__all__ = [
    "Config",
    "ConfigError",
    "Control",
    "Cors",
    "Drain",
    "Limits",
    "Logging",
    "Metrics",
    "Mixer",
    "Page",
    "Relations",
    "Retention",
    "Rtc",
    "Spaces",
    "Store",
    "Tracing",
    "TurnServer",
    "Webhook",
    "Whip",
    "check_config",
    "dump_config",
    "load_config",
    "parse_ports",
]
