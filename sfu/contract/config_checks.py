"""What types alone cannot say of a configuration: addresses, ports that clash, weak keys. Pure.

Each check raises a `ConfigError` that names the key, its value (never a secret's) and the remedy.
"""

import ipaddress
import re

from sfu.contract.config_error import ConfigError
from sfu.contract.config_sections import Config, Control, Page, Rtc, Spaces, Store, Tracing

MIN_SECRET_CHARACTERS = 32
"""256 bits in hex are 64, in base64 43; 32 is the least that RFC 7518 §3.2 allows a key for HS256 to carry in bytes."""

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` has 108 with its closing NUL (unix(7))."""

MAX_ON_STAGE = 13
"""Host, cohosts and speakers together."""

STORE_SCHEMES = ("sqlite", "postgresql")


def check_config(config: Config) -> None:
    """Raises ConfigError for what types alone cannot say: addresses, ports that clash, weak keys."""
    _check_addresses(config)
    _check_ports(config)
    _check_keys(config)
    _check_ice_servers(config.rtc)
    _check_control(config.control)
    _check_store(config.store)
    _check_spaces(config.spaces)
    for key, url in (("public_url", config.public_url), ("relations.url", config.relations.url)):
        if url and not re.match(r"https?://[^\s/?#]+", url):
            raise ConfigError(key, url, "write a whole URL, such as https://spaces.example")
    _check_page(config.page)
    _check_tracing(config.tracing)
    _check_webhook(config)
    if config.development:
        _check_stays_on_loopback(config)


def _check_addresses(config: Config) -> None:
    if not config.bind_addresses:
        raise ConfigError("bind_addresses", [], 'name at least one address, such as "127.0.0.1" or "0.0.0.0"')
    for index, address in enumerate(config.bind_addresses):
        _parse_address(f"bind_addresses.{index}", address)
    _parse_address("metrics.bind_address", config.metrics.bind_address)
    bind = _parse_address("rtc.bind_address", config.rtc.bind_address)
    if not config.rtc.node_ips and not config.rtc.use_external_ip:
        remedy = "set it to the address at which browsers reach this machine's UDP ports, or set rtc.use_external_ip"
        raise ConfigError("rtc.node_ip", None, remedy)
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


def _check_spaces(spaces: Spaces) -> None:
    on_stage = 1 + spaces.max_cohosts + spaces.max_speakers
    if on_stage > MAX_ON_STAGE:
        remedy = f"host, cohosts and speakers are {MAX_ON_STAGE} at most; lower spaces.max_cohosts or this"
        raise ConfigError("spaces.max_speakers", spaces.max_speakers, remedy, says=f"makes {on_stage} on stage")
    if not spaces.topics or not all(re.fullmatch(r"[\w][\w -]{0,39}", topic) for topic in spaces.topics):
        raise ConfigError("spaces.topics", spaces.topics, "name one or more, each of 1 to 40 letters")


def _check_ice_servers(rtc: Rtc) -> None:
    for index, server in enumerate(rtc.stun_servers):
        if not _has_port(server):
            raise ConfigError(f"rtc.stun_servers.{index}", server, 'write "host:port", such as "stun.example.org:3478"')
    if rtc.use_external_ip and not rtc.stun_servers:
        raise ConfigError("rtc.stun_servers", [], "rtc.use_external_ip asks one of them; name one, or set rtc.node_ip")
    if rtc.use_external_ip and rtc.node_ips:
        raise ConfigError("rtc.use_external_ip", True, "rtc.node_ip is set as well; keep one of the two")
    for index, turn in enumerate(rtc.turn_servers):
        key = f"rtc.turn_servers.{index}"
        if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", turn.host):
            raise ConfigError(
                f"{key}.host", turn.host, "write a name or an address, IPv6 in brackets; the port is a key"
            )
        if bool(turn.secret) == bool(turn.username or turn.credential):
            remedy = "give each relay either a secret (credentials that expire) or a username and a credential"
            raise ConfigError(f"{key}.secret", None, remedy)
        if not turn.secret and not (turn.username and turn.credential):
            raise ConfigError(f"{key}.credential", None, "username and credential go together")


def _check_tracing(tracing: Tracing) -> None:
    if tracing.endpoint and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", tracing.endpoint):
        remedy = "write the collector's address, such as http://127.0.0.1:4318"
        raise ConfigError("tracing.endpoint", tracing.endpoint, remedy)


def _check_page(page: Page) -> None:
    """They go into a header and a document: nothing but an origin may stand there."""
    for index, origin in enumerate(page.embedders):
        if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?", origin):
            raise ConfigError(f"page.embedders.{index}", origin, "write an origin, such as https://app.example")


def _check_webhook(config: Config) -> None:
    webhook = config.webhook
    for index, url in enumerate(webhook.urls):
        if not re.fullmatch(r"https?://[^\s/?#@]+([/?#]\S*)?", url):
            remedy = "write a whole URL without a user name, such as https://app.example/palco"
            raise ConfigError(f"webhook.urls.{index}", url, remedy)
        if webhook.urls.count(url) > 1:
            raise ConfigError(f"webhook.urls.{index}", url, "name each URL once")
    if webhook.urls and webhook.api_key not in config.keys:
        raise ConfigError("webhook.api_key", webhook.api_key, "name one of `keys`; its secret signs the webhooks")


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


def _has_port(address: str | None) -> bool:
    host, _, port = (address or "").rpartition(":")
    return bool(host) and port.isdecimal() and 1 <= int(port) <= 65535
