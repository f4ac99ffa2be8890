"""Palco's configuration: one YAML document that both processes read. Edge (files, environment given by the caller).

`deploy/palco.example.yaml` says what each key means to an operator. What is wrong stops the start with a `ConfigError`
that names the key, its value (never a secret's) and the remedy. There is no default secret.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from sfu.contract.config_source import ConfigError, choices_at, gather, runtime_folder, state_folder, value_at

MIN_SECRET_CHARACTERS = 32
"""256 bits in hex are 64, in base64 43; 32 is the least that RFC 7518 §3.2 allows a key for HS256 to carry in bytes."""

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` has 108 with its closing NUL (unix(7))."""

STORE_SCHEMES = ("sqlite", "postgresql")

Port = Annotated[int, Meta(ge=1, le=65535)]
PortOrOff = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]


class _Section(Struct, frozen=True):
    def __repr__(self) -> str:
        """The values, without the secrets: a configuration may end up in a log."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name not in {"keys", "secret", "url"}}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Rtc(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where media arrives."""

    udp_ports: list[Port] = field(default_factory=lambda: [7882])
    """One worker thread for each. In YAML also `7882-7885` or `7882`."""
    bind_address: str = "::"
    """An IP address; `::` takes IPv4 too."""
    node_ips: list[str] = field(name="node_ip", default_factory=list)
    """What candidates announce; in YAML one address or a list. Loaded configurations hold at least one."""


class Metrics(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prometheus endpoints; port 0 turns one off."""

    sfu_port: PortOrOff = 6789
    signalling_port: PortOrOff = 6788
    bind_address: str = "127.0.0.1"


class Control(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How signalling reaches the sfu: the Unix socket, or TCP when `address` is set."""

    socket: str = ""
    """Loaded configurations name one: without any it is `sfu-<port>.sock` in `runtime_folder`."""
    address: str | None = None
    secret: str = ""

    @property
    def tcp(self) -> tuple[str, int] | None:
        """Host and port when the control connection is TCP."""
        if self.address is None:
            return None
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class Store(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must outlive a restart: who was removed or blocked."""

    url: str = ""
    """Loaded configurations name one: without any it is SQLite's `palco-<port>.db` in `state_folder`."""


class Spaces(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    max_speakers: Annotated[int, Meta(ge=1, le=100)] = 10
    auto_create: bool = False
    """Whether a token with `roomCreate` or `canPublish` opens a space by joining it."""
    forward_sections: Annotated[int, Meta(ge=1, le=32)] = 10
    """The most audio sections that a listener is sent."""
    packet_ms: Literal[20, 40, 60, "auto"] = "auto"
    """Audio in a packet to those who only listen; `auto` is 20, and 60 in a space with a large audience."""
    large_audience: Count = 3000
    """So many listening sessions in one space."""


class Whip(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    video: Literal["reject", "discard"] = "reject"
    strict_etag: bool = False
    """Whether a trickle PATCH without If-Match is refused with 428, as RFC 9725 §4.3.1 has it."""


class Cors(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    origins: list[str] = field(default_factory=lambda: ["*"])


class Limits(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What strangers and the crowd may take."""

    max_spaces: Count = 1000
    max_sessions: Count = 20_000
    sessions_per_identity: Count = 8
    requests_per_second: Annotated[float, Meta(gt=0)] = 20.0
    request_burst: Count = 60
    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 20)] = 16_384
    sdp_bytes: Annotated[int, Meta(ge=4096, le=1 << 20)] = 65_536
    sdp_lines: Annotated[int, Meta(ge=100)] = 2000


class Logging(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Config(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    port: Port = 7880
    bind_addresses: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    rtc: Rtc = field(default_factory=Rtc)
    keys: dict[str, str] = field(default_factory=dict)
    """API key → secret."""
    metrics: Metrics = field(default_factory=Metrics)
    control: Control = field(default_factory=Control)
    store: Store = field(default_factory=Store)
    spaces: Spaces = field(default_factory=Spaces)
    whip: Whip = field(default_factory=Whip)
    cors: Cors = field(default_factory=Cors)
    limits: Limits = field(default_factory=Limits)
    logging: Logging = field(default_factory=Logging)
    development: bool = False
    """Hands tokens to whoever asks at `/dev/tokens`; therefore bound to loopback only."""


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of the file at `path`, else of the YAML in PALCO_CONFIG, else all defaults.

    Above either stand single values, `PALCO_RTC__UDP_PORTS=7882-7885`. `keys_file`, `control.secret_file` and
    `store.url_file` name files that hold the secret. Raises ConfigError.
    """
    raw = gather(Config, path, environ)
    _spell_out_rtc(raw)
    config = _name_files(_convert(raw), environ)
    check_config(config)
    return config


def dump_config(config: Config) -> str:
    """YAML that `load_config` reads back to the same; it holds the secrets."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False)


def check_config(config: Config) -> None:
    """Raises ConfigError for what types alone cannot say: addresses, ports that clash, weak keys."""
    _check_addresses(config)
    _check_ports(config)
    _check_keys(config)
    _check_control(config.control)
    _check_store(config.store)
    if config.development:
        _check_stays_on_loopback(config)


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
    if not rtc.get("node_ip") and isinstance(bind_address, str) and not _is_wildcard(bind_address):
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


def _check_addresses(config: Config) -> None:
    if not config.bind_addresses:
        raise ConfigError("bind_addresses", [], 'name at least one address, such as "127.0.0.1" or "0.0.0.0"')
    for index, address in enumerate(config.bind_addresses):
        _parse_address(f"bind_addresses.{index}", address)
    _parse_address("metrics.bind_address", config.metrics.bind_address)
    bind = _parse_address("rtc.bind_address", config.rtc.bind_address)
    if not config.rtc.node_ips:
        raise ConfigError("rtc.node_ip", None, "set it to the address at which browsers reach this machine's UDP ports")
    for node_ip in config.rtc.node_ips:
        parsed = _parse_address("rtc.node_ip", node_ip)
        if parsed.is_unspecified:
            raise ConfigError("rtc.node_ip", node_ip, "nobody can send there; write the address that browsers reach")
        if bind.version == 4 and parsed.version == 6:
            remedy = f"rtc.bind_address is {bind}, which hears no IPv6; bind to '::' or drop this address"
            raise ConfigError("rtc.node_ip", node_ip, remedy)


def _check_ports(config: Config) -> None:
    ports = config.rtc.udp_ports
    if not 1 <= len(ports) <= 256:
        says = f"names {len(ports)} ports"
        raise ConfigError("rtc.udp_ports", ports, "name 1 to 256; one for each core is plenty", says=says)
    if repeated := [port for port in ports if ports.count(port) > 1]:
        raise ConfigError("rtc.udp_ports", repeated[0], "name each port once")
    taken: dict[int, str] = {}
    tcp = config.control.tcp if _has_port(config.control.address) else None
    for key, port in (
        ("port", config.port),
        ("metrics.sfu_port", config.metrics.sfu_port),
        ("metrics.signalling_port", config.metrics.signalling_port),
        ("control.address", tcp[1] if tcp else 0),
    ):
        if port and port in taken:
            raise ConfigError(key, port, f"{taken[port]} has this port already; choose another")
        taken[port] = key


def _check_keys(config: Config) -> None:
    if not config.keys:
        remedy = "add a key and its secret, such as  mykey: <the output of `openssl rand -hex 32`>"
        raise ConfigError("keys", None, f"{remedy}; for a trial on this machine run `palco up` without --config")
    for key, secret in config.keys.items():
        _check_secret(f"keys.{key}", secret)


def _check_secret(key: str, secret: str) -> None:
    if len(secret) < MIN_SECRET_CHARACTERS:
        remedy = f"use at least {MIN_SECRET_CHARACTERS}, made by `openssl rand -hex 32`"
        raise ConfigError(key, None, remedy, says=f"has {len(secret)} characters")


def _check_control(control: Control) -> None:
    if control.address is None:
        path = control.socket
        if not path or len(path.encode()) > MAX_SOCKET_PATH_BYTES:
            raise ConfigError("control.socket", path, f"write a path of 1 to {MAX_SOCKET_PATH_BYTES} bytes")
        return
    if not _has_port(control.address):
        raise ConfigError("control.address", control.address, 'write "address:port", such as "127.0.0.1:7870"')
    _check_secret("control.secret", control.secret)


def _check_store(store: Store) -> None:
    scheme = store.url.partition("://")[0].partition("+")[0]
    if scheme not in STORE_SCHEMES or "://" not in store.url:
        remedy = "write sqlite:////absolute/path/palco.db or postgresql://user:password@host/database"
        raise ConfigError("store.url", None, remedy, says=f"begins with {scheme[:12]!r}")


def _check_stays_on_loopback(config: Config) -> None:
    addresses = [("bind_addresses", address) for address in config.bind_addresses]
    addresses += [("rtc.bind_address", config.rtc.bind_address), ("metrics.bind_address", config.metrics.bind_address)]
    for key, address in addresses:
        if not ipaddress.ip_address(address).is_loopback:
            remedy = (
                "development mode gives everyone a token, so only 127.0.0.1 or ::1 will do; else set development: false"
            )
            raise ConfigError(key, address, remedy)


def _parse_address(key: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ConfigError(key, text, "write an IP address (a name is not looked up)") from None


def _is_wildcard(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return True  # not an address; the checks name it


def _has_port(address: str | None) -> bool:
    host, _, port = (address or "").rpartition(":")
    return bool(host) and port.isdecimal() and 1 <= int(port) <= 65535


__all__ = [
    "Config",
    "ConfigError",
    "Control",
    "Cors",
    "Limits",
    "Logging",
    "Metrics",
    "Rtc",
    "Spaces",
    "Store",
    "Whip",
    "check_config",
    "dump_config",
    "load_config",
    "parse_ports",
]
