"""Twilio's request signature, checked in constant time.

Pure. base64(HMAC-SHA1(token, url + each sorted parameter name followed by its sorted values)). Twilio is not consistent
about the port, so the URL is tried as it came, without a port and with the default one. During a rotation two tokens
hold.
https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

_DEFAULT_PORT = 443


def sign(url: str, params: Mapping[str, Sequence[str]] | None, token: str) -> str:
    """`params` maps each form field to its values; a WebSocket upgrade has none."""
    text = url
    for name in sorted(params or {}):
        text += "".join(name + value for value in sorted(set((params or {})[name])))
    # A path that is not UTF-8 comes with its bytes as surrogates: it has to be refused, not to fail.
    digest = hmac.new(token.encode(), text.encode(errors="surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def valid(url: str, params: Mapping[str, Sequence[str]] | None, signature: str, tokens: Iterable[str]) -> bool:
    """True when any current token signed this URL and these form fields."""
    given = signature.encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(sign(variant, params, token).encode(), given)
        for token in tokens
        if token
        for variant in _variants(url)
    ]
    return any(matches)


def _variants(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return (url,)
    bare = urlunsplit(parts._replace(netloc=host))
    ported = urlunsplit(parts._replace(netloc=f"{host}:{_DEFAULT_PORT}"))
    return tuple(dict.fromkeys((url, bare, ported)))
