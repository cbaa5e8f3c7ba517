"""Kamailio's dispatcher lists, as values: the answer of `dispatcher.list`, and the text file that a reload reads.

Only text in and values out. Who may change a destination is the driver's to ask; what is here finds our mark, which
the user puts among the attributes of each destination: `mark=holdfast:<zone>/<region>`, under any attribute's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DISABLED = "D"
PASSED_OVER = frozenset({DISABLED, "I"})
FLAG_DISABLED = 4
DESTINATIONS_MAX = 10_000

# A line of the list file: set, destination, and optionally flags, priority and attributes.
_LINE = re.compile(
    rb"(?P<head>[ \t]*(?P<group>\d+)[ \t]+(?P<uri>[^\s#]+))"
    rb"(?:(?P<gap>[ \t]+)(?P<flags>\d+)(?P<rest>(?:[ \t].*)?))?(?P<tail>[ \t]*(?:#.*)?)"
)


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination of a group. `state` is Kamailio's letter: A active, I inactive, T trying, D disabled."""

    uri: str
    state: str
    attributes: str = ""

    @property
    def disabled(self) -> bool:
        """Only this is a cordon: the pinger brings back whatever else keeps new calls away."""
        return self.state == DISABLED

    @property
    def usable(self) -> bool:
        """Whether new calls are sent there now."""
        return self.state not in PASSED_OVER

    def marked(self, zone: str, region: str) -> bool:
        """Whether it carries our mark for this zone and region."""
        return marked(self.attributes, zone, region)


def marked(attributes: str, zone: str, region: str) -> bool:
    """Whether one of the attributes has our mark as its value."""
    values = (each.partition("=")[2].strip().strip('"') for each in attributes.split(";"))
    return f"holdfast:{zone}/{region}" in values


def origin(text: str) -> tuple[str, ...]:
    """The addresses in a Region's origin: one or more, with white space between them."""
    return tuple(dict.fromkeys(text.split()))


def destinations(result: object, group: int) -> tuple[Destination, ...]:
    """Those of one group in an answer of `dispatcher.list`; ValueError when the answer has another shape."""
    found: list[Destination] = []
    for record in _list(result, "RECORDS"):
        members = _mapping(record, "SET")
        if members.get("ID") != group:
            continue
        found += [_destination(_mapping(each, "DEST")) for each in _list(members, "TARGETS")]
    if len(found) > DESTINATIONS_MAX:
        raise ValueError("more destinations than anybody has")
    return tuple(found)


def _destination(fields: Mapping[str, Any]) -> Destination:
    uri, flags, attributes = fields.get("URI"), fields.get("FLAGS"), fields.get("ATTRS")
    if not isinstance(uri, str) or not isinstance(flags, str) or not flags:
        raise ValueError("a destination without URI or FLAGS")
    body = attributes.get("BODY") if isinstance(attributes, dict) else None
    return Destination(uri, flags[0], body if isinstance(body, str) else "")


def _list(value: object, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, list):
        return found
    raise ValueError(f"no list {key}")


def _mapping(value: object, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, dict):
        return found
    raise ValueError(f"no {key}")


# The list file. Everything but the flags of the lines that are meant stays as it is, byte by byte.


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the file that is a destination of the group."""

    number: int
    uri: str
    flags: int
    attributes: str

    @property
    def disabled(self) -> bool:
        return bool(self.flags & FLAG_DISABLED)


def listed(content: bytes, group: int) -> tuple[Listed, ...]:
    """The lines of one group."""
    return tuple(line for line, _ in _lines(content, group) if line is not None)


def with_flag(content: bytes, group: int, uris: Sequence[str], *, disabled: bool) -> bytes:
    """The file with the flag for disabled set or cleared on these destinations of the group."""
    out: list[bytes] = []
    for line, raw in _lines(content, group):
        meant = line is not None and line.uri in uris and line.disabled is not disabled
        out.append(_flagged(raw, disabled=disabled) if meant else raw)
    return b"".join(out)


def _lines(content: bytes, group: int) -> Iterator[tuple[Listed | None, bytes]]:
    for number, raw in enumerate(content.splitlines(keepends=True), start=1):
        found = _LINE.fullmatch(raw.rstrip(b"\r\n"))
        if found is None or int(found["group"]) != group:
            yield None, raw
            continue
        fields = (found["rest"] or b"").split(None, 1)
        attributes = fields[1] if len(fields) > 1 else b""
        yield Listed(number, _text(found["uri"]), int(found["flags"] or 0), _text(attributes)), raw


def _flagged(raw: bytes, *, disabled: bool) -> bytes:
    body = raw.rstrip(b"\r\n")
    found = _LINE.fullmatch(body)
    if found is None:
        raise AssertionError("only lines that were read are written")
    flags = int(found["flags"] or 0)
    flags = flags | FLAG_DISABLED if disabled else flags & ~FLAG_DISABLED
    rest = (found["rest"] or b"") + found["tail"]
    return b"%s%s%d%s%s" % (found["head"], found["gap"] or b" ", flags, rest, raw[len(body) :])


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").strip()
