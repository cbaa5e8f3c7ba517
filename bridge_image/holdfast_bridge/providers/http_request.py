"""What vendors over HTTP have in common: the address, the headers and the body of a request, and what a refusal means.

The tenant, the agent, the region and the call may stand as {tenant}, {agent}, {region} and {call} in addresses, queries
and headers, because gateways count, cache and route by them. It knows no vendor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st

_PLACEHOLDER = re.compile(r"\{(tenant|agent|region|call)\}")
_HEADER_SAFE = " !#$&'()*+,-./:;<=>?@[]^_`|~"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BODY_OCTETS = 4096
_REQUEST_TIMEOUT = 408
_TOO_LONG = (
    "context_length_exceeded", "maximum context length", "prompt is too long", "Input is too long for requested model",
)  # fmt: skip
"""How OpenAI, those who speak like it, Anthropic and Bedrock say that one conversation is too much for the model."""


def url(base_url: str, path: str, *, query: Mapping[str, str], placeholders: Mapping[str, str]) -> str:
    """`path` is encoded already. A query that stands in `base_url` is kept; a placeholder without a value stays.

    It has to be sent as it is. ValueError when the base is no address.
    """
    parts = urlsplit(_filled(base_url, placeholders, safe=""))
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.port == 0:
        raise ValueError(f"{base_url!r} is no address that begins with https:// and names a host")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    # Percent signs of the values are encoded with the rest of the query, so nothing is encoded here.
    asked += [(name, _PLACEHOLDER.sub(lambda m: placeholders.get(m[1], m[0]), text)) for name, text in query.items()]
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=urlencode(asked, quote_via=quote)))


def headers(own: Mapping[str, str], given: Mapping[str, str], *, placeholders: Mapping[str, str]) -> dict[str, str]:
    """By names in lower case; what is `given` goes before what is our own. Values put in are percent-encoded ASCII.

    ValueError when one cannot be sent; it does not show the value.
    """
    filled = {name.lower(): _filled(text, placeholders, safe=_HEADER_SAFE) for name, text in given.items()}
    found = {name.lower(): text for name, text in own.items()} | filled
    for name, text in found.items():
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(text):
            raise ValueError(f"the header {name!r} has a name or a value that cannot be sent")
    return found


def body(own: Mapping[str, Any], extra: Mapping[str, Any]) -> bytes:
    """What is `extra` goes before our own. Where both are objects they are merged, so that neither loses its rest."""
    merged = dict(own)
    for name, value in extra.items():
        ours = merged.get(name)
        merged[name] = {**ours, **value} if isinstance(ours, dict) and isinstance(value, Mapping) else value
    return msgspec.json.encode(merged)


def header(given: Mapping[str, str], name: str) -> str:
    """The value of the header, whatever the case of its name; empty when it is missing."""
    return next((value for key, value in given.items() if key.lower() == name), "")


def refused(status: int, given: Mapping[str, str], body: bytes) -> st.StageLost:
    """A request that was answered with this status instead of a stream."""
    if status == _REQUEST_TIMEOUT:
        return st.StageLost("timeout")
    text = body[:_BODY_OCTETS].decode(errors="replace")
    if 400 <= status < 500 and any(sign in text for sign in _TOO_LONG):
        return st.StageLost("context_length_exceeded", retry_same=False)
    found = failures.refused(status, body=text, retry_after=header(given, "retry-after"))
    return st.StageLost(found.word, found.retry_same, found.retry_after_s)


def _filled(text: str, values: Mapping[str, str], *, safe: str) -> str:
    return _PLACEHOLDER.sub(lambda m: quote(values[m[1]], safe=safe) if m[1] in values else m[0], text)
