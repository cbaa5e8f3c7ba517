"""The canary's provider: gives the caller's audio back at once, in the same process, and says nothing of its own."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast_bridge.core import events as ev

READY = b""
"""Audio is never empty, so an empty message is free to say that the loop is closed."""


class LoopbackCodec:
    silence_max_s = 0.0

    def opening(self) -> list[bytes]:
        return [READY]

    def append(self, payload: bytes) -> bytes:
        return payload

    def noticed(self) -> tuple[()]:
        return ()

    def encode(self, effect: ev.ToProvider) -> list[bytes]:
        return [effect.payload] if isinstance(effect, ev.AppendAudio) else []

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        return (ev.ProviderAudio("echo", message),) if message else (ev.ProviderReady(),)
