"""A start token opens one stream of one call of one agent in one region, for two minutes."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from control_builders import CALL

from holdfast_bridge.core import token
from holdfast_bridge.core.choice import NO_FACTS, Facts
from holdfast_bridge.core.token import Claim, Refusal, Refused

KEY, OLD = b"current", b"previous"
CLAIM = Claim(call=CALL, agent="clinic/front-desk", region="fra", epoch=2, expires=1120, nonce="n1")


def verify(text: str, *, now: float = 1000.0, agent: str = "clinic/front-desk", region: str = "fra") -> Claim | Refusal:
    return token.verify(text, keys=(KEY, OLD), agent=agent, region=region, now=now)


def test_a_minted_token_gives_its_claim_back() -> None:
    assert verify(token.mint(CLAIM, key=KEY)) == CLAIM


def test_what_is_known_of_a_call_is_signed_with_it() -> None:
    claim = replace(CLAIM, facts=Facts(lot=4711, called="+4930555010", prefix="491"))
    assert verify(token.mint(claim, key=KEY)) == claim


def test_a_token_without_it_is_that_of_an_older_bridge_and_an_older_bridge_reads_past_it() -> None:
    """Its words are the six of before, to the letter; and the reader takes no offence at more."""
    body = token.mint(CLAIM, key=KEY).partition(".")[0]
    assert json.loads(token.unb64url(body) or b"") == {
        "c": CALL, "a": "clinic/front-desk", "r": "fra", "e": 2, "x": 1120, "n": "n1",
    }  # fmt: skip
    later = token.b64url(b'{"c":"CA1","a":"clinic/front-desk","r":"fra","e":1,"x":1120,"n":"n","later":[1]}')
    signed = f"{later}.{token.b64url(hmac.new(KEY, later.encode(), hashlib.sha256).digest())}"
    read = verify(signed)
    assert isinstance(read, Claim)
    assert read.facts == NO_FACTS


def test_the_previous_key_still_holds() -> None:
    assert verify(token.mint(CLAIM, key=OLD)) == CLAIM


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Refused.MALFORMED),
        ("abc", Refused.MALFORMED),
        ("a.b.c", Refused.MALFORMED),
        ("ä.ö", Refused.MALFORMED),
        ("x" * 5000, Refused.MALFORMED),
        (token.mint(CLAIM, key=b"other"), Refused.BAD_SIGNATURE),
        (token.mint(CLAIM, key=KEY)[:-3] + "AAA", Refused.BAD_SIGNATURE),
    ],
)
def test_what_no_key_signed_is_refused(text: str, reason: Refused) -> None:
    assert verify(text) == Refusal(reason)


def test_a_token_for_elsewhere_or_too_late_is_refused() -> None:
    minted = token.mint(CLAIM, key=KEY)
    assert verify(minted, now=1121.0) == Refusal(Refused.EXPIRED)
    assert verify(minted, agent="clinic/other") == Refusal(Refused.WRONG_AGENT)
    assert verify(minted, region="ams") == Refusal(Refused.WRONG_REGION)


def test_a_signed_payload_of_the_wrong_shape_is_malformed() -> None:
    body = token.b64url(b'{"c":1}')
    forged = f"{body}.{token.b64url(token._mac(KEY, body.encode()))}"
    assert verify(forged) == Refusal(Refused.MALFORMED)


def test_an_empty_key_signs_nothing() -> None:
    minted = token.mint(CLAIM, key=b"")
    assert token.verify(minted, keys=(b"",), agent=CLAIM.agent, region="fra", now=1000.0) == Refusal(
        Refused.BAD_SIGNATURE
    )


def test_zone_authorization_binds_method_path_and_minute() -> None:
    header = token.authorization("GET", "/a/clinic/front-desk/journal", key=OLD, now=1000.0)

    def allowed(*, method: str = "GET", path: str = "/a/clinic/front-desk/journal", now: float = 1000.0) -> bool:
        return token.authorized(header, method=method, path=path, keys=(KEY, OLD), now=now)

    assert allowed()
    assert allowed(now=1060.0)
    assert not allowed(now=1061.0)
    assert not allowed(method="POST")
    assert not allowed(path="/a/clinic/other/journal")


@pytest.mark.parametrize("header", ["", "Bearer x", "Holdfast ", "Holdfast x.y", "Holdfast 1000.", "Holdfast ²000.AA"])
def test_a_malformed_authorization_is_refused(header: str) -> None:
    assert not token.authorized(header, method="GET", path="/", keys=(KEY,), now=1000.0)
