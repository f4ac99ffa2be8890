"""Tells people that the server goes out of service, once, and knows whether it does. A machine."""

from sfu.contract.config_sections import Drain
from sfu.contract.messages import Load
from signalling.events import ServerDraining
from signalling.resources import timestamp


class Draining:
    """Fed with every `Load` of the sfu, whose draining is the server's."""

    def __init__(self, settings: Drain) -> None:
        self._settings = settings
        self.notice: ServerDraining | None = None
        """What newcomers to an event stream are told too; None while the server serves."""

    def on_load(self, load: Load) -> ServerDraining | None:
        """What everybody is to be told now, if anything."""
        if load.ends_at_s is None:
            self.notice = None
            return None
        if self.notice is not None:
            return None
        self.notice = ServerDraining(
            ends_at=timestamp(load.ends_at_s), reconnect_within_s=self._settings.reconnect_spread_s
        )
        return self.notice

    def on_lost(self) -> None:
        """The sfu has gone; the next one begins afresh."""
        self.notice = None
