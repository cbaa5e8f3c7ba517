"""Providers: what speech vendors say on a socket, translated. Each is a pure codec; none knows of legs or of others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from holdfast_bridge.core import events as ev


class ProviderCodec(Protocol):
    def opening(self) -> list[bytes]:
        """What to send as soon as the link is open."""
        ...

    def append(self, payload: bytes) -> bytes:
        """A piece of the caller's audio."""
        ...

    def encode(self, effect: ev.ToProvider) -> list[bytes]: ...

    def decode(self, message: bytes) -> Iterable[ev.Event]: ...
