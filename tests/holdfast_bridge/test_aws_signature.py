"""Signature Version 4, held against AWS's published test suite and against botocore.

The first three signatures are those of AWS's own suite (get-vanilla, get-vanilla-query-order-key-case, post-vanilla).
All seven were computed once by botocore 1.44.5 (`uv run --no-project --with botocore==1.44.5 python …`, `SigV4Auth`
with the clock set), which is no part of this project.
"""

from __future__ import annotations

import calendar
import time

import pytest

from holdfast_bridge.providers.aws_signature import AwsScope, Unsigned, signed_headers

KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BEDROCK = "https://bedrock-runtime.eu-central-1.amazonaws.com/model/"
ARN = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile%2Feu.x-v1:0"
JSON = {"Content-Type": "application/json"}
SUITE = ("20150830T123600Z", "us-east-1", "service")
OURS = ("20261106T212000Z", "eu-central-1", "bedrock")


def authorization(request: Unsigned, at: tuple[str, str, str], *, token: str = "") -> tuple[str, str]:
    """The names of what was signed, and the signature."""
    scope = AwsScope(access_key_id=KEY, secret_access_key=SECRET, session_token=token, region=at[1], service=at[2])
    now = calendar.timegm(time.strptime(at[0], "%Y%m%dT%H%M%SZ"))
    headers = signed_headers(request, scope, now=now + 0.9)
    assert headers["x-amz-date"] == at[0]
    algorithm, credential, names, signature = headers["authorization"].split(" ")
    assert algorithm == "AWS4-HMAC-SHA256"
    assert credential == f"Credential={KEY}/{at[0][:8]}/{at[1]}/{at[2]}/aws4_request,"
    return names.removeprefix("SignedHeaders=").rstrip(","), signature.removeprefix("Signature=")


@pytest.mark.parametrize(
    ("method", "url", "signature"),
    [
        ("GET", "https://example.amazonaws.com/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        ("POST", "https://example.amazonaws.com/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)  # fmt: skip
def test_we_sign_as_the_published_suite_does(method: str, url: str, signature: str) -> None:
    assert authorization(Unsigned(method, url, {}, b""), SUITE) == ("host;x-amz-date", signature)


@pytest.mark.parametrize(
    ("request_", "token", "names", "signature"),
    [
        (
            Unsigned("POST", f"{BEDROCK}eu.amazon.nova-2-lite-v1:0/converse-stream", JSON, '{"a":"ü 你好"}'.encode()),
            "", "content-type;host;x-amz-date",
            "4990a100ed5cd67450f810dade95caec81cbcf8f988b624ca63cfec71723bcad",
        ),
        (
            Unsigned("POST", f"{BEDROCK}{ARN}/converse-stream", JSON, b"{}"),
            "session/token==", "content-type;host;x-amz-date;x-amz-security-token",
            "92cf98f86ec68199c2f1d51134b6fcb9f3e02ff781d34c594c517babd8ddd39c",
        ),
        (
            Unsigned(
                "POST", "http://127.0.0.1:8080/model/m/converse-stream?b=2&a=z%C3%BC%20x&a=1&empty=",
                {**JSON, "x-amz-target": "  a   b "}, b"{}",
            ),
            "", "content-type;host;x-amz-date;x-amz-target",
            "fcb371618ae195b09906bcc33afcbf7cf9362969510b4fe40f87b40736922b84",
        ),
        (
            Unsigned("POST", "http://[::1]:8080/model/m/converse-stream", JSON, b"{}"),
            "", "content-type;host;x-amz-date", "28bdf1dce499dfcf023618d9af68294f978d79062f3b80aeb7c8a89ebb2202d6",
        ),
    ],
)  # fmt: skip
def test_we_sign_as_the_vendors_own_client_does(request_: Unsigned, token: str, names: str, signature: str) -> None:
    assert authorization(request_, OURS, token=token) == (names, signature)


def test_a_default_port_is_no_part_of_the_host() -> None:
    named, plain = (
        Unsigned("POST", f"https://bedrock.eu-central-1.amazonaws.com{port}/model/m/converse-stream", JSON, b"{}")
        for port in (":443", "")
    )
    assert authorization(named, OURS) == authorization(plain, OURS)


def test_headers_of_ours_are_sent_and_not_signed() -> None:
    scope = AwsScope(access_key_id=KEY, secret_access_key=SECRET, region="eu-central-1", service="bedrock")
    unsigned = Unsigned("POST", f"{BEDROCK}m/converse-stream", {**JSON, "X-Team": "a"}, b"")
    headers = signed_headers(unsigned, scope, now=0)
    assert headers["x-team"] == "a"
    assert "x-team" not in headers["authorization"]


def test_the_secret_is_not_shown_when_the_scope_is_printed() -> None:
    scope = AwsScope(access_key_id=KEY, secret_access_key="hidden-1", session_token="hidden-2", region="r", service="s")
    assert "hidden" not in repr(scope)
