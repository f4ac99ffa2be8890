"""The STUN and TURN servers that a session is told of, with credentials of its own. Pure.

RFC 9725 §4.6 hands them out as `Link` headers of the 201. A relay that shares a secret with us (coturn's
use-auth-secret) takes a user name that says until when it is good, and as its password an HMAC of that name: the TURN
REST API, draft-uberti-behave-turn-rest-00. The name carries the beginning of the session's id, as the log does, so that
one person can be followed through a relay's log too.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from msgspec import Struct

from sfu.contract.config_sections import Rtc, TurnServer


class IceServer(Struct, frozen=True):
    """As an RTCIceServer; without credentials where none are needed (STUN)."""

    url: str
    username: str = ""
    credential: str = ""

    @property
    def link(self) -> str:
        """The value of its `Link` header."""
        link = f'<{self.url}>; rel="ice-server"'
        if self.username:
            link += f'; username="{_quoted(self.username)}"; credential="{_quoted(self.credential)}"'
            link += '; credential-type="password"'
        return link


def ice_servers(rtc: Rtc, *, session: str, now_s: float) -> Sequence[IceServer]:
    """What the holder of `session` may use, STUN first, then the relays in the order of the configuration."""
    stun = [IceServer(f"stun:{server}") for server in rtc.stun_servers]
    return [*stun, *(_relay(turn, session=session, now_s=now_s) for turn in rtc.turn_servers)]


def turn_credentials(turn: TurnServer, *, label: str, now_s: float) -> tuple[str, str]:
    """User name and password for `turn`; of a relay with a secret they are good for `ttl_s` from now."""
    if not turn.secret:
        return turn.username, turn.credential
    username = f"{int(now_s) + turn.ttl_s}:{label}"
    digest = hmac.new(turn.secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def turn_url(turn: TurnServer) -> str:
    """RFC 7065; TLS is over TCP."""
    scheme, transport = ("turns", "tcp") if turn.protocol == "tls" else ("turn", turn.protocol)
    return f"{scheme}:{turn.host}:{turn.port}?transport={transport}"


def _relay(turn: TurnServer, *, session: str, now_s: float) -> IceServer:
    username, credential = turn_credentials(turn, label=session[:8], now_s=now_s)
    return IceServer(turn_url(turn), username, credential)


def _quoted(text: str) -> str:
    """For a quoted-string (RFC 9110 §5.6.4); what no header may carry was refused with the configuration."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
