"""Who follows and who has blocked whom, from the operator's application. Edge (HTTP).

A token says it best (`palco.follows`, `followedBy`, `blocks`). Where `relations.url` is set it is asked as well, with a
token of our own, so that it knows who asks; what does not answer in time has said nothing.
"""

import time
from typing import Final

import httpx2
import msgspec
import structlog
from msgspec import Struct

from sfu.contract.config import Config
from signalling.tokens import Grants, mint

log = structlog.get_logger("signalling.relations")

_ASKER: Final = "palco"
_TOKEN_LIFETIME_S: Final = 60.0


class Relations(Struct, frozen=True):
    """Of one identity; what is not known is empty."""

    follows: frozenset[str] = frozenset()
    followed_by: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()


class RelationSource:
    """`of` asks; it never raises and never takes longer than the operator allows."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._http: httpx2.AsyncClient | None = None

    @property
    def is_on(self) -> bool:
        return bool(self._config.relations.url)

    async def of(self, identity: str, host: str) -> Relations:
        """What the application says of `identity`, who is in a space of `host`."""
        if not self.is_on:
            return Relations()
        try:
            answer = await self._client().get(
                self._config.relations.url,
                params={"identity": identity, "host": host},
                headers={"Authorization": f"Bearer {self._token()}", "Accept": "application/json"},
            )
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=Relations)
        except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.DecodeError) as error:
            log.warning("relations_unknown", reason=f"{type(error).__name__}: {error}"[:200])
            return Relations()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            timeout_s = self._config.relations.timeout_s
            self._http = httpx2.AsyncClient(timeout=timeout_s, trust_env=False, follow_redirects=False)
        return self._http

    def _token(self) -> str:
        key, secret = next(iter(self._config.keys.items()))
        return mint(
            key=key,
            secret=secret,
            identity=_ASKER,
            name=_ASKER,
            grants=Grants(can_subscribe=False),
            now_s=time.time(),
            lifetime_s=_TOKEN_LIFETIME_S,
        )
