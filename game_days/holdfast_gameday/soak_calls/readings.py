"""What a pod's files say: its notes, its log, and its metrics as text. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_QUIET = frozenset({"debug", "info", "warning"})


@dataclass(slots=True)
class Notes:
    """What one pod noted. `tasks`: with the moment, in seconds of the monotonic clock."""

    tasks: list[tuple[float, float]] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    after: list[str] = field(default_factory=list)


def notes(lines: Iterable[str]) -> Notes:
    found = Notes()
    for line in lines:
        said = json.loads(line)
        if "tasks" in said:
            found.tasks.append((said["at"], float(said["tasks"])))
        elif "after" in said:
            found.after.append(said["after"])
        elif said["new"]:
            found.taken[said["ended"]] += 1
        else:
            found.repeated += 1
    return found


def errors(lines: Iterable[str]) -> list[str]:
    """The lines of a log that are of level error or worse, or no lines of a log at all, as a traceback is."""
    return [line for line in lines if line.strip() and not _quiet(line)]


def _quiet(line: str) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("level") in _QUIET


def gauge(exposition: str, name: str) -> float:
    """LookupError when it is not there."""
    for line in exposition.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise LookupError(f"the metrics have no {name}")
