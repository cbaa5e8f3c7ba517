"""What a refusal, a close or an error says of a provider: outage, quota, key and spec are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import providers
from holdfast.gather import provider_probe as operators
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure, Refused

QUOTA_BODY = '{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded ..."}}'


@pytest.mark.parametrize(
    ("status", "body", "kind", "retry_same"),
    [
        (401, "", Failure.AUTH, False),
        (403, "", Failure.AUTH, False),
        (402, "", Failure.QUOTA, False),
        (429, "", Failure.RATE_LIMITED, False),
        (498, "", Failure.RATE_LIMITED, False),
        (429, QUOTA_BODY, Failure.QUOTA, False),
        (400, "", Failure.CONFIG, False),
        (404, "", Failure.CONFIG, False),
        (422, "", Failure.CONFIG, False),
        (500, "", Failure.ERROR, True),
        (503, "", Failure.ERROR, True),
        (529, "", Failure.ERROR, True),
        (0, "", Failure.ERROR, True),
    ],
)
def test_a_refused_upgrade_has_a_kind(status: int, body: str, kind: Failure, retry_same: bool) -> None:
    refused = failures.refused(status, body=body)
    assert (failures.kind(refused.word), refused.retry_same) == (kind, retry_same)


def test_how_long_to_wait_is_kept_of_a_429_only_and_bounded() -> None:
    assert failures.refused(429, retry_after="20") == Refused("rate", retry_after_s=20.0)
    assert failures.refused(429, retry_after="Fri, 21 Nov 2026 17:00:00 GMT").retry_after_s == 0.0
    assert failures.refused(429, retry_after="1e9").retry_after_s == failures.RETRY_AFTER_MAX_S
    assert failures.refused(429, retry_after="nan").retry_after_s == 0.0
    assert failures.refused(503, retry_after="20").retry_after_s == 0.0


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1006, "", Failure.ERROR),
        (1011, "", Failure.ERROR),
        (1012, "", Failure.ERROR),
        (1013, "", Failure.ERROR),
        (1008, "", Failure.AUTH),
        (1008, "insufficient_quota", Failure.QUOTA),
        (4000, "invalid_request_error.beta_api_shape_disabled", Failure.CONFIG),
        (1000, "", None),
        (1001, "Your session hit the maximum duration of 60 minutes.", None),
        (1007, "", None),
    ],
)
def test_a_close_has_a_kind_and_a_planned_one_counts_against_nobody(
    code: int, reason: str, kind: Failure | None
) -> None:
    assert failures.kind(failures.closed(code, reason)[0]) is kind


@pytest.mark.parametrize(
    ("error_type", "code", "configured", "kind"),
    [
        ("server_error", "internal_error", True, Failure.ERROR),
        ("server_error", "", True, Failure.ERROR),
        ("invalid_request_error", "invalid_api_key", False, Failure.AUTH),
        ("insufficient_quota", "insufficient_quota", True, Failure.QUOTA),
        ("invalid_request_error", "model_not_found", False, Failure.CONFIG),
        ("invalid_request_error", "rate_limit_exceeded", False, Failure.RATE_LIMITED),
        ("invalid_request_error", "session_expired", True, None),
    ],
)
def test_an_error_that_ends_a_session_has_a_kind(
    error_type: str, code: str, configured: bool, kind: Failure | None
) -> None:
    ends = failures.error_event(error_type, code, configured=configured)
    assert ends is not None
    assert failures.kind(ends[0]) is kind


@pytest.mark.parametrize("code", ["response_cancel_not_active", "rate_limit_exceeded", ""])
def test_most_errors_leave_a_session_usable(code: str) -> None:
    assert failures.error_event("invalid_request_error", code, configured=True) is None


def test_bridge_and_operator_read_the_answers_alike() -> None:
    """They share no code, and must not drift apart: one table stands in each."""
    assert [kind.value for kind in Failure] == [kind.value for kind in providers.Failure]
    for status in (*range(300, 600), 0):
        for body in ("", QUOTA_BODY):
            ours = failures.kind(failures.refused(status, body=body).word)
            assert ours is not None
            assert operators.refusal(status, body).value == ours.value, status
    for code in range(1000, 1016):
        ours = failures.kind(failures.closed(code)[0])
        theirs = operators.closing(code)
        assert (theirs and theirs.value) == (ours and ours.value), code
    for code in ("invalid_api_key", "insufficient_quota", "model_not_found", "rate_limit_exceeded", "", "other"):
        for error_type in ("invalid_request_error", "server_error"):
            ends = failures.error_event(error_type, code, configured=False)
            assert ends is not None
            ours = failures.kind(ends[0])
            assert ours is not None
            assert operators.error_event(error_type, code).value == ours.value, (error_type, code)



@given(st.integers(0, 999), st.text(max_size=40), st.text(max_size=20))
def test_whatever_is_answered_has_a_word_without_the_vendors_text(status: int, body: str, retry_after: str) -> None:
    refused = failures.refused(status, body=body, retry_after=retry_after)
    assert refused.word in {"auth", "quota", "rate", "config", "server", "handshake"}
    assert 0 <= refused.retry_after_s <= failures.RETRY_AFTER_MAX_S
