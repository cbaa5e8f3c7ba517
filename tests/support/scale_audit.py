"""Reads what an API server's audit log holds of writes: who wrote what, and when the request came."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Written:
    """One request that was to change something, whatever became of it. `at` is on the wall clock."""

    at: float
    user: str
    verb: str
    resource: str  # with its subresource: `voiceagents/status`
    name: str
    status: int

    @property
    def renews(self) -> bool:
        """Whether it goes on in calm as well, once a second: the region's heartbeat, and the vote with the memory."""
        return self.resource == "leases"


class AuditLog:
    """The writes so far, in the order in which they were done; each look goes on where the last one ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = 0
        self._found: list[Written] = []

    def writes(self) -> list[Written]:
        """A line that is still being written is left for the next look."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                whole = file.read().rpartition(b"\n")[0]
            self._read_to += len(whole) + 1 if whole else 0
            self._found += [_written(json.loads(line)) for line in whole.splitlines()]
        return self._found


def told(found: Iterable[Written]) -> str:
    """What a person wants to see of them: how many of which kind."""
    counted = Counter((each.user, each.verb, each.resource) for each in found)
    return ", ".join(f"{count} x {user} {verb} {resource}" for (user, verb, resource), count in counted.items())


def _written(line: dict) -> Written:
    about = line.get("objectRef") or {}
    return Written(
        at=dt.datetime.fromisoformat(line["requestReceivedTimestamp"]).timestamp(),
        user=line["user"]["username"],
        verb=line["verb"],
        resource="/".join(part for part in (about.get("resource", ""), about.get("subresource", "")) if part),
        name=about.get("name", ""),
        status=int((line.get("responseStatus") or {}).get("code") or 0),
    )
