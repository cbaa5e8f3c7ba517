"""Calls the canary of a watched region and says what that proves: the join of the synthetic call and the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from holdfast.core import evidence
from holdfast.core.values import Verdict
from holdfast.gather import entry_probe
from holdfast.gather.entries import Watched


class CanaryCaller:
    """Makes one call with the fleet's probe key and turns its outcome into a result. It never raises."""

    def __init__(
        self,
        *,
        probe: entry_probe.EntryProbe,
        key_file: Path,
        on_outcome: Callable[[str, entry_probe.Outcome], None],
        url: Callable[[str], str] = entry_probe.media_url,
    ) -> None:
        self._probe = probe
        self._key_file = key_file
        self._on_outcome = on_outcome
        self._url = url

    async def call(self, watched: Watched) -> evidence.Result:
        """UP, DOWN, or UNKNOWN when the fault is ours."""
        try:
            # A projected file of some bytes; read each time, because it is replaced when the key is rotated.
            key = self._key_file.read_bytes().strip()
        except OSError:
            return evidence.Result(Verdict.UNKNOWN, "the probe key is not mounted")
        target = entry_probe.Target(region=watched.region, url=self._url(watched.host))
        outcome = await self._probe.call(target, key=key, timeout_s=watched.probe.timeout_s)
        self._on_outcome(watched.region, outcome)
        if outcome.ok:
            return evidence.Result(Verdict.UP)
        return evidence.Result(Verdict.UNKNOWN if outcome.own_fault else Verdict.DOWN, outcome.detail)
