"""Start tokens: the proof, carried in a stream's `start`, that some region of the zone sent this call here.

Pure: keys, nonces and the time are arguments. Remembering which nonces were spent is the shell's business.
Format: b64url(json payload) "." b64url(HMAC-SHA256(key, first part)), without padding.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from holdfast_bridge.core.choice import NO_FACTS, Facts

LIFE_S = 120
MAX_TOKEN_CHARS = 2_048
AUTH_WINDOW_S = 60
_AUTH_SCHEME = "Holdfast "


class Refused(enum.Enum):
    """Why a token was not accepted; the values are metric labels."""

    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    WRONG_AGENT = "wrong_agent"
    WRONG_REGION = "wrong_region"
    SPENT = "spent"
    STALE_EPOCH = "stale_epoch"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a token says: this call of this agent may start in this region under this owner epoch."""

    call: str
    agent: str
    region: str
    epoch: int
    expires: int
    nonce: str
    facts: Facts = NO_FACTS
    """What the choice of an attempt may know; bridges that are older say and read nothing of it."""


class _Payload(msgspec.Struct, frozen=True, omit_defaults=True):
    c: str
    a: str
    r: str
    e: int
    x: int
    n: str
    l: int = -1  # noqa: E741  one letter each, for the token is long enough
    t: str = ""
    p: str = ""


def mint(claim: Claim, *, key: bytes) -> str:
    told = claim.facts
    payload = _Payload(
        c=claim.call,
        a=claim.agent,
        r=claim.region,
        e=claim.epoch,
        x=claim.expires,
        n=claim.nonce,
        l=told.lot,
        t=told.called,
        p=told.prefix,
    )
    body = b64url(msgspec.json.encode(payload))
    return f"{body}.{b64url(_mac(key, body.encode()))}"


def verify(token: str, *, keys: Sequence[bytes], agent: str, region: str, now: float) -> Claim | Refusal:
    """The claim of a token signed by one of `keys` for this agent and region, or why it is none."""
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        return Refusal(Refused.MALFORMED)
    body, dot, signature = token.partition(".")
    mac = unb64url(signature)
    raw = unb64url(body)
    if not dot or mac is None or raw is None:
        return Refusal(Refused.MALFORMED)
    if not _signed_by_any(keys, body.encode(), mac=mac):
        return Refusal(Refused.BAD_SIGNATURE)
    try:
        payload = msgspec.json.decode(raw, type=_Payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal(Refused.MALFORMED)
    if payload.x < now:
        return Refusal(Refused.EXPIRED)
    if payload.a != agent:
        return Refusal(Refused.WRONG_AGENT)
    if payload.r != region:
        return Refusal(Refused.WRONG_REGION)
    return Claim(
        call=payload.c,
        agent=payload.a,
        region=payload.r,
        epoch=payload.e,
        expires=payload.x,
        nonce=payload.n,
        facts=Facts(lot=payload.l, called=payload.t, prefix=payload.p),
    )


def authorization(method: str, path: str, *, key: bytes, now: float) -> str:
    """The `Authorization` header by which bridges of one zone know each other."""
    seconds = int(now)
    return f"{_AUTH_SCHEME}{seconds}.{b64url(_mac(key, f'{method} {path} {seconds}'.encode()))}"


def authorized(header: str, *, method: str, path: str, keys: Sequence[bytes], now: float) -> bool:
    """True when `header` was made for this method and path by a holder of a zone key, within a minute of `now`."""
    if not header.startswith(_AUTH_SCHEME) or len(header) > MAX_TOKEN_CHARS or not header.isascii():
        return False
    stamp, _, signature = header[len(_AUTH_SCHEME) :].partition(".")
    if not stamp.isdigit() or len(stamp) > 12 or abs(now - int(stamp)) > AUTH_WINDOW_S:
        return False
    mac = unb64url(signature)
    return mac is not None and _signed_by_any(keys, f"{method} {path} {stamp}".encode(), mac=mac)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _signed_by_any(keys: Sequence[bytes], data: bytes, *, mac: bytes) -> bool:
    matches = [hmac.compare_digest(_mac(key, data), mac) for key in keys if key]
    return any(matches)
