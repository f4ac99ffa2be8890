"""The shape of Palco's configuration: its sections and keys, with their defaults. Pure.

`deploy/palco.example.yaml` says what each key means to an operator; a test holds the two together.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Port = Annotated[int, Meta(ge=1, le=65535)]
PortOrOff = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]


class _Section(Struct, frozen=True):
    def __repr__(self) -> str:
        """The values, without the secrets: a configuration may end up in a log."""
        shown = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if name not in {"keys", "secret", "credential", "url"}
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class TurnServer(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A relay for people whose network lets no UDP through to us (RFC 8656); handed out with every session."""

    host: str
    port: Port = 3478
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    """How browsers reach it; `tls` is `turns:` over TCP."""
    secret: str = ""
    """Shared with the relay (coturn's static-auth-secret): each session gets credentials of its own that expire."""
    ttl_s: Count = 86_400
    username: str = ""
    """With `credential`, the same for everybody; for relays that know no shared secret."""
    credential: str = ""


class Rtc(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where media arrives."""

    udp_ports: list[Port] = field(default_factory=lambda: [7882])
    """One worker thread for each. In YAML also `7882-7885` or `7882`."""
    tcp_port: Port | None = None
    """ICE over TCP (RFC 6544) for people whose network lets no UDP through; None: not offered."""
    bind_address: str = "::"
    """An IP address; `::` takes IPv4 too."""
    node_ips: list[str] = field(name="node_ip", default_factory=list)
    """What candidates announce; in YAML one address or a list. Loaded configurations hold at least one, unless
    `use_external_ip`."""
    use_external_ip: bool = False
    """Whether the address is asked of `stun_servers` at the start."""
    stun_servers: list[str] = field(default_factory=list)
    """`host:port` each; also handed to clients."""
    turn_servers: list[TurnServer] = field(default_factory=list)


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


TOPICS = [
    *("arts", "books", "business", "comedy", "culture", "education", "faith", "food", "gaming", "health", "local"),
    *("music", "news", "politics", "science", "society", "sports", "technology", "travel"),
]


class Spaces(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    max_speakers: Annotated[int, Meta(ge=1, le=12)] = 10
    """Beside host and cohosts; with them they are at most 13 on stage."""
    max_cohosts: Annotated[int, Meta(ge=0, le=11)] = 2
    schedule_days: Annotated[int, Meta(ge=1, le=30)] = 14
    """So far ahead may a space be scheduled."""
    scheduled_per_host: Count = 10
    host_grace_s: Annotated[int, Meta(ge=0, le=86_400)] = 300
    """A space that nobody is left to host ends after so long."""
    topics: list[str] = field(default_factory=lambda: list(TOPICS))
    """What a space may be about; it names three at most."""
    auto_create: bool = False
    """Whether a token with `roomCreate` or `canPublish` opens a space by joining it."""
    forward_sections: Annotated[int, Meta(ge=1, le=32)] = 10
    """The most audio sections that a listener is sent."""
    packet_ms: Literal[20, 40, 60, "auto"] = "auto"
    """Audio in a packet to those who only listen; `auto` is 20, and 60 in a space with a large audience."""
    large_audience: Count = 3000
    """So many listening sessions in one space."""


class Mixer(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the mix is made, in spaces whose audience is `mix`."""

    processes: Annotated[int, Meta(ge=1, le=64)] | Literal["auto"] = "auto"
    """At most so many, each for many spaces; `auto` is one for each core. None runs while no space needs it."""
    bitrate: Annotated[int, Meta(ge=6_000, le=510_000)] = 48_000
    complexity: Annotated[int, Meta(ge=0, le=10)] = 9
    channels: Literal[1, 2] = 1
    expected_loss_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    """Above 0 every packet carries its predecessor once more, coarsely (in-band FEC)."""
    automatic_gain: bool = True


class Relations(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the operator's application says who follows and who has blocked whom, for tokens that do not say it."""

    url: str = ""
    """Asked with `identity` and `host` in the query; empty asks nobody."""
    timeout_s: Annotated[float, Meta(gt=0, le=10)] = 1.0
    """Whoever has not answered by then is taken to follow and to have blocked nobody."""


class Whip(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    video: Literal["reject", "discard"] = "reject"
    strict_etag: bool = False
    """Whether a trickle PATCH without If-Match is refused with 428, as RFC 9725 §4.3.1 has it."""


class Cors(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    origins: list[str] = field(default_factory=lambda: ["*"])


class Page(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The stage in the browser."""

    embedders: list[str] = field(default_factory=list)
    """Origins of web applications that may show the page in a frame and hand it tokens."""


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
    idempotency_keys_per_identity: Count = 1000


class Drain(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the first SIGTERM begins."""

    deadline_s: Annotated[int, Meta(ge=0)] = 3600
    """How long those who are in may stay; 0 ends all sessions at once."""
    reconnect_spread_s: Annotated[int, Meta(ge=0, le=3600)] = 10
    """Over so many seconds those whose session ends then come back elsewhere."""


class Tracing(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """OpenTelemetry spans of joins; needs `palco[tracing]`."""

    endpoint: str = ""
    """OTLP over HTTP, such as http://127.0.0.1:4318; empty is off."""
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Webhook(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the operator's application is told what happens."""

    api_key: str = ""
    """The one of `keys` that signs."""
    urls: list[Annotated[str, Meta(max_length=1024)]] = field(default_factory=list)
    """Each is told everything; none turns webhooks, and with them reminders, off."""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 15
    max_pending: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """Deliveries that may wait; what comes on top is a dead letter at once."""


class Retention(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long what is over is kept."""

    idempotency_hours: Count = 24
    delivered_webhook_days: Count = 3
    dead_webhook_days: Count = 30
    resolved_report_days: Count = 180
    audit_days: Count = 365


class Logging(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Config(_Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    port: Port = 7880
    public_url: str = ""
    """Where people reach this server, such as https://spaces.example; share links begin with it. Empty is the first
    bind address."""
    bind_addresses: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    rtc: Rtc = field(default_factory=Rtc)
    keys: dict[str, str] = field(default_factory=dict)
    """API key → secret."""
    metrics: Metrics = field(default_factory=Metrics)
    control: Control = field(default_factory=Control)
    store: Store = field(default_factory=Store)
    spaces: Spaces = field(default_factory=Spaces)
    relations: Relations = field(default_factory=Relations)
    mixer: Mixer = field(default_factory=Mixer)
    whip: Whip = field(default_factory=Whip)
    cors: Cors = field(default_factory=Cors)
    page: Page = field(default_factory=Page)
    limits: Limits = field(default_factory=Limits)
    webhook: Webhook = field(default_factory=Webhook)
    retention: Retention = field(default_factory=Retention)
    drain: Drain = field(default_factory=Drain)
    logging: Logging = field(default_factory=Logging)
    tracing: Tracing = field(default_factory=Tracing)
    development: bool = False
    """Hands tokens to whoever asks at `/dev/tokens`; therefore bound to loopback only."""
