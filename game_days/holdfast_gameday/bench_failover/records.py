"""The trials that were made, one JSON object a line, so that a run that was broken off goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds since the fault. `effective`: read back at every lever, or whatever the kind calls so.

    `lost`: new calls that were never answered. `resumed` of `held` calls under way went on, `gap` is the longest
    silence of each. `false_moves`: regions moved that nothing was done to.
    """

    kind: str
    number: int
    revision: str
    started: str
    victim: str
    phase: float
    detected: float | None = None
    decided: float | None = None
    effective: float | None = None
    cut_over: float | None = None
    heard_after: float | None = None
    placed: int = 0
    lost: int = 0
    set_up: float | None = None
    held: int = 0
    resumed: int = 0
    gaps: tuple[float, ...] = ()
    false_moves: tuple[str, ...] = ()
    note: str = ""


def read(path: Path) -> list[Record]:
    """All records; a line that was cut off in the middle of writing was no trial."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Record))
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
    return found


def append(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    with path.open("ab") as file:
        # A line that was cut off must not swallow this one.
        file.write((b"" if not before or before.endswith(b"\n") else b"\n") + msgspec.json.encode(record) + b"\n")
