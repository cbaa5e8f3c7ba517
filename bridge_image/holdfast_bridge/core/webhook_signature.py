"""The signature of a request to a tool's webhook, after the Standard Webhooks specification.

Pure: the time is an argument. `v1,` and base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body)), one for each
secret, divided by spaces, so that a receiver that knows either accepts it while one takes the other's place.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_PREFIX = "whsec_"


def key(secret: str) -> bytes | None:
    """The key of a secret as it is written: base64 after `whsec_`, else the text itself. None: it is no such secret."""
    if not secret.startswith(_PREFIX):
        return secret.encode() or None
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True) or None
    except binascii.Error:
        return None


def headers(message: str, body: bytes, *, wall_s: float, keys: Sequence[bytes]) -> dict[str, str]:
    """`message`: the same for every try of one question. `wall_s`: seconds since 1970, now. Without a key: nothing."""
    if not keys:
        return {}
    timestamp = str(int(wall_s))
    signed = f"{message}.{timestamp}.".encode() + body
    return {ID: message, TIMESTAMP: timestamp, SIGNATURE: " ".join(_sign(each, signed) for each in keys)}


def _sign(secret: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
