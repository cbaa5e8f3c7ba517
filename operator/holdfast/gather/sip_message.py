"""The one SIP request that Holdfast sends, OPTIONS, and the answers to it, as text and values (RFC 3261).

Values in, values out. Nothing else of SIP is known here: no dialogs, no authentication, no SRV or NAPTR records. What
comes back is outside input: it counts only if it is an answer to the very request that was sent, and whatever else it
is, it is passed over, in bounded memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 64 * 1024
LINES_MAX = 256
WORDS_MAX = 80
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}

_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[A-Za-z0-9._+\-]{1,64})@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:;transport=(?P<transport>udp|tcp|tls))?"
)
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9]) ([^\r\n]*)")
_HEADER = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([A-Z]+)")
_SHORT = {"v": "via", "i": "call-id", "l": "content-length"}


# The request.


@dataclass(frozen=True, slots=True)
class Target:
    """A SIP address that is asked. `uri` is exactly as it is written in the policy."""

    uri: str
    host: str
    port: int
    transport: str

    @property
    def authority(self) -> str:
        """Host and port, as they stand in a URI."""
        return f"{_bracketed(self.host)}:{self.port}"


def target(uri: str) -> Target:
    """The address in `sip:[user@]host[:port][;transport=udp|tcp|tls]`; `sips:` is TLS. ValueError for any other."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError(f"{uri[:WORDS_MAX]!r} is not sip:[user@]host[:port][;transport=udp|tcp|tls]")
    secure = found["scheme"] == "sips"
    if secure and found["transport"] not in (None, "tls"):
        raise ValueError(f"{uri!r}: sips: goes over TLS alone; leave out ;transport={found['transport']}")
    transport = "tls" if secure else found["transport"] or "udp"
    port = int(found["port"] or PORTS[transport])
    if not 0 < port < 65536:
        raise ValueError(f"{uri!r}: there is no port {port}")
    return Target(uri, found["host"].strip("[]"), port, transport)


@dataclass(frozen=True, slots=True)
class Ids:
    """What makes one request unlike any other: only who saw it can answer it."""

    branch: str
    tag: str
    call_id: str


def encode(to: Target, ids: Ids, *, local_host: str, local_port: int) -> bytes:
    """The request, as one datagram or on a stream. `rport` has the answer come back through address translation."""
    here = f"{_bracketed(local_host)}:{local_port}"
    user = f"{to.uri.partition(':')[2].split('@')[0]}@" if "@" in to.uri else ""
    scheme = "sips" if to.uri.startswith("sips:") else "sip"
    kind = "" if to.transport == "udp" or scheme == "sips" else f";transport={to.transport}"
    lines = (
        f"OPTIONS {scheme}:{user}{to.authority}{kind} SIP/2.0",
        f"Via: SIP/2.0/{to.transport.upper()} {here};branch={ids.branch};rport",
        "Max-Forwards: 70",
        f"From: <{scheme}:holdfast@{_bracketed(local_host)}>;tag={ids.tag}",
        f"To: <{scheme}:{user}{to.authority}>",
        f"Call-ID: {ids.call_id}",
        "CSeq: 1 OPTIONS",
        f"Contact: <{scheme}:holdfast@{here}{kind}>",
        "Accept: application/sdp",
        "User-Agent: holdfast",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# The answer.


@dataclass(frozen=True, slots=True)
class Answer:
    """A final or provisional answer to our request."""

    status: int
    words: str

    @property
    def final(self) -> bool:
        return self.status >= 200


def decode(message: bytes, ids: Ids) -> Answer | None:
    """The answer to the request with these ids; None for everything else, well formed or not."""
    head, found, _ = message.partition(b"\r\n\r\n")
    if not found or len(head) > HEAD_BYTES_MAX:
        return None
    first, *lines = head.decode(errors="replace").split("\r\n")
    status, headers = _STATUS.fullmatch(first), _headers(lines)
    if status is None or headers is None or len(first) > 1024:
        return None
    via, call_id, cseq = (_only(headers, name) for name in ("via", "call-id", "cseq"))
    numbered = _CSEQ.fullmatch(cseq)
    if call_id != ids.call_id or numbered is None or (int(numbered[1]), numbered[2]) != (1, "OPTIONS"):
        return None
    # An answer carries the one Via that we put on: with more of them it is on its way to somebody else.
    if "," in via or f"branch={ids.branch}" not in [each.strip() for each in via.split(";")[1:]]:
        return None
    words = "".join(each if each.isprintable() else " " for each in status[2])[:WORDS_MAX].strip()
    return Answer(int(status[1]), words)


def _headers(lines: list[str]) -> list[tuple[str, str]] | None:
    """Names in lower case with their values, folded lines joined; None when a line is no header."""
    found: list[tuple[str, str]] = []
    if len(lines) > LINES_MAX:
        return None
    for line in lines:
        if line[:1] in {" ", "\t"} and found:
            name, value = found.pop()
            found.append((name, f"{value} {line.strip()}"))
            continue
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name = header[1].lower()
        found.append((_SHORT.get(name, name), header[2].strip()))
    return found


def _only(headers: list[tuple[str, str]], name: str) -> str:
    """The value of a header that must stand there once; empty otherwise, which matches nothing."""
    values = [value for each, value in headers if each == name]
    return values[0] if len(values) == 1 else ""


class Unframed(Exception):
    """What comes over the stream cannot be divided into messages."""


class Frames:
    """Divides a stream into messages, in bounded memory."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. Unframed when one is too large or tells no length that can be read."""
        self._held += data
        messages: list[bytes] = []
        while True:
            self._held = self._held.lstrip(b"\r\n")
            head, ended, rest = self._held.partition(b"\r\n\r\n")
            if len(head) > HEAD_BYTES_MAX:
                raise Unframed("a head that does not end")
            if not ended:
                return messages
            length = _body_length(head)
            if len(rest) < length:
                return messages
            messages.append(head + ended + rest[:length])
            self._held = rest[length:]


def _body_length(head: bytes) -> int:
    headers = _headers(head.decode(errors="replace").split("\r\n")[1:])
    if headers is None:
        raise Unframed("a line that is no header")
    told = [value for name, value in headers if name == "content-length"]
    if not told:
        return 0
    if len(told) > 1 or re.fullmatch(r"[0-9]{1,6}", told[0]) is None or int(told[0]) > BODY_BYTES_MAX:
        raise Unframed("a length that cannot be")
    return int(told[0])
