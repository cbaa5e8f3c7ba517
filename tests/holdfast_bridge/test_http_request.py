"""Addresses, headers and bodies of requests to language models, and what their refusals mean to a breaker."""

from __future__ import annotations

import json

import pytest

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import http_request

NAMES = {"tenant": "zoë & co", "agent": 'front"\r\nX: 1', "region": "eu/1", "call": "c+1"}


def url(base: str, **query: str) -> str:
    return http_request.url(base, "/m", query=query, placeholders=NAMES)


def test_names_of_the_call_are_put_wherever_they_are_wanted() -> None:
    assert url("https://{region}.example/{tenant}?a={call}&b=") == "https://eu%2F1.example/zo%C3%AB%20%26%20co/m?a=c%2B1&b="
    assert url("https://x/v1/", who="{tenant} {other}") == "https://x/v1/m?who=zo%C3%AB%20%26%20co%20%7Bother%7D"
    given = {"X-Who": '{"agent":"{agent}","tenant":"{tenant}"}'}
    assert http_request.headers({}, given, placeholders=NAMES) == {
        "x-who": '{"agent":"front%22%0D%0AX: 1","tenant":"zo%C3%AB & co"}'
    }
    assert http_request.headers({}, {"X-Who": "{call}"}, placeholders={}) == {"x-who": "{call}"}


def test_headers_that_are_given_go_before_our_own_whatever_their_case() -> None:
    own = {"accept": "text/event-stream", "authorization": "Bearer ours"}
    assert http_request.headers(own, {"Authorization": "Bearer theirs"}, placeholders={}) == {
        "accept": "text/event-stream", "authorization": "Bearer theirs"
    }  # fmt: skip


@pytest.mark.parametrize("base", ["", "api.example/v1", "ftp://x", "https://", "https://[x", "https://x:port"])
def test_what_is_no_address_is_refused_before_a_call_needs_it(base: str) -> None:
    with pytest.raises(ValueError, match=r"address|IPv6|Port"):
        url(base)


@pytest.mark.parametrize(("name", "value"), [("x-a", "sk-1\nx-b: 2"), ("x-a", "\x00"), ("x a", "b"), ("", "b")])
def test_a_header_that_cannot_be_sent_is_refused_without_being_shown(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent") as refused:
        http_request.headers({name: value}, {}, placeholders={})
    assert "sk-1" not in str(refused.value)


def test_what_is_extra_in_a_body_goes_before_our_own_and_objects_are_merged() -> None:
    own = {"model": "a", "limits": {"tokens": 400, "time": 1}, "tools": [1]}
    extra = {"model": "b", "limits": {"time": 2}, "tools": {"x": 1}, "cache": "on"}
    assert json.loads(http_request.body(own, extra)) == {
        "model": "b", "limits": {"tokens": 400, "time": 2}, "tools": {"x": 1}, "cache": "on"
    }  # fmt: skip
    assert own["limits"] == {"tokens": 400, "time": 1}


@pytest.mark.parametrize(
    ("status", "retry_after", "waits"),
    [(429, "7", 7.0), (429, "0.5", 0.5), (429, "Fri, 31 Dec 2027 23:59:59 GMT", 0.0), (429, "nan", 0.0),
     (429, "-3", 0.0), (498, "99999999", 3_600.0)],
)  # fmt: skip
def test_a_vendor_that_asks_us_to_wait_is_understood(status: int, retry_after: str, waits: float) -> None:
    expected = st.StageLost("rate", retry_same=False, retry_after_s=waits)
    assert http_request.refused(status, {"Retry-After": retry_after}, b"") == expected


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
        (b"prompt is too long: 209303 tokens > 200000 maximum", "context_length_exceeded"),
        (b"Input is too long for requested model.", "context_length_exceeded"),
        (b"Unknown parameter: 'practice'.", "config"),
    ],
)
def test_one_conversation_that_is_too_long_says_nothing_of_the_configuration(body: bytes, word: str) -> None:
    assert http_request.refused(400, {}, body) == st.StageLost(word, retry_same=False)


def test_each_word_is_of_the_kind_that_breakers_tell_apart() -> None:
    kinds = {
        "auth": failures.Failure.AUTH, "quota": failures.Failure.QUOTA, "config": failures.Failure.CONFIG,
        "rate": failures.Failure.RATE_LIMITED, "timeout": failures.Failure.TIMEOUT, "stall": failures.Failure.STALL,
        "server": failures.Failure.ERROR, "cut": failures.Failure.ERROR, "unreadable": failures.Failure.ERROR,
        "empty": failures.Failure.ERROR, "tool_use_failed": failures.Failure.ERROR,
        "content_filter": None, "context_length_exceeded": None,
    }  # fmt: skip
    assert {word: failures.kind(word) for word in kinds} == kinds
