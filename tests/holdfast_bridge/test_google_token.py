"""Tokens for Vertex AI: what is asked, whom the pod's own token is shown to, and when to ask again."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from holdfast_bridge.providers import google_token as gt

AUDIENCE = "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/fleet/providers/fra"
IMPERSONATION = (
    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/voice@p.iam.gserviceaccount.com"
    ":generateAccessToken"
)


def credentials(**changes: object) -> bytes:
    return json.dumps({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/var/run/service-account/token", "format": {"type": "text"}},
        **changes,
    }).encode()


def external(**changes: object) -> gt.ExternalAccount:
    found = gt.source_of(credentials(**changes))
    assert isinstance(found, gt.ExternalAccount)
    return found


def answer(token: str, seconds: float = 3_599) -> bytes:
    return json.dumps({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}).encode()


def test_the_metadata_server_is_asked_once_and_with_its_header() -> None:
    source = gt.MetadataServer()
    asked = gt.first(source)
    assert asked == gt.Ask("GET", gt.METADATA_URL, {"Metadata-Flavor": "Google"})
    assert gt.follow(source, asked, status=200, body=answer("ya29.a"), now=1_000) == gt.Token("ya29.a", 4_599)


def test_a_pods_own_token_is_exchanged() -> None:
    source = external()
    asked = gt.first(source, file=b"eyJ.pod.token\n")
    assert isinstance(asked, gt.Ask)
    assert (asked.method, asked.url, asked.last) == ("POST", "https://sts.googleapis.com/v1/token", True)
    form = parse_qs(asked.body.decode())
    assert form["subject_token"] == ["eyJ.pod.token"]
    assert form["audience"] == [AUDIENCE]
    assert form["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]
    assert gt.follow(source, asked, status=200, body=answer("federated"), now=0) == gt.Token("federated", 3_599)


def test_the_exchanged_token_asks_for_the_service_accounts() -> None:
    source = external(service_account_impersonation_url=IMPERSONATION)
    asked = gt.first(source, file=b"eyJ.pod.token")
    assert isinstance(asked, gt.Ask)
    assert not asked.last
    then = gt.follow(source, asked, status=200, body=answer("federated"), now=0)
    assert isinstance(then, gt.Ask)
    assert (then.url, then.headers["Authorization"], then.last) == (IMPERSONATION, "Bearer federated", True)
    assert json.loads(then.body) == {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s"}
    body = json.dumps({"accessToken": "ya29.sa", "expireTime": "2026-11-21T10:00:00Z"}).encode()
    assert gt.follow(source, then, status=200, body=body, now=50) == gt.Token("ya29.sa", 3_650)


@pytest.mark.parametrize("word", [b"metadata-server", b" metadata-server\n"])
def test_a_word_in_the_place_of_credentials_means_the_metadata_server(word: bytes) -> None:
    assert gt.source_of(word) == gt.MetadataServer()


def test_a_token_may_stand_in_a_field_of_a_json_file() -> None:
    written = {"file": "/var/run/t", "format": {"type": "json", "subject_token_field_name": "id_token"}}
    asked = gt.first(external(credential_source=written), file=b'{"id_token":"abc"}')
    assert isinstance(asked, gt.Ask)
    assert parse_qs(asked.body.decode())["subject_token"] == ["abc"]


@pytest.mark.parametrize("file", [b"", b" \n", b"two words", b"line\nbreak", b"\xff\xfe", b"x" * 20_000])
def test_a_file_without_a_fit_token_is_a_failure_of_the_key(file: bytes) -> None:
    assert gt.first(external(), file=file) == gt.Failed("auth")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"{", gt.Refusal.UNREADABLE),
        (b'{"type":"service_account","private_key":"-----BEGIN"}', gt.Refusal.KEY_OF_A_SERVICE_ACCOUNT),
        (b'{"type":"authorized_user"}', gt.Refusal.UNKNOWN_KIND),
        (credentials(credential_source={"executable": {"command": "/bin/x"}}), gt.Refusal.NO_FILE),
        (credentials(credential_source=None), gt.Refusal.NO_FILE),
        (credentials(credential_source={"file": "/etc/holdfast/fleet/zone-key"}), gt.Refusal.FOREIGN_FILE),
        (credentials(credential_source={"file": "/var/run/../../etc/shadow"}), gt.Refusal.FOREIGN_FILE),
        (b'{"type":' + b"[" * 100_000, gt.Refusal.UNREADABLE),
        (credentials(token_url="https://sts.example.com/v1/token"), gt.Refusal.FOREIGN_HOST),
        (credentials(token_url="http://sts.googleapis.com/v1/token"), gt.Refusal.FOREIGN_HOST),
        (credentials(token_url="https://sts.googleapis.com@evil.example/v1"), gt.Refusal.FOREIGN_HOST),
        (credentials(service_account_impersonation_url="https://evil.example/x"), gt.Refusal.FOREIGN_HOST),
    ],
)
def test_credentials_that_cannot_be_used_are_refused_by_kind(given: bytes, expected: gt.Refusal) -> None:
    assert gt.source_of(given) is expected


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (400, b'{"error":"invalid_grant"}', "auth"),
        (403, b"", "auth"),
        (404, b"no service account", "auth"),
        (408, b"", "server"),
        (429, b"", "rate"),
        (503, b"", "server"),
        (200, b"<html>", "unreadable"),
        (200, b"{}", "unreadable"),
        (200, b'{"access_token":"a b","expires_in":9}', "unreadable"),
        (200, b'{"access_token":"","expires_in":9}', "unreadable"),
        (200, b'{"access_token":"a\\r\\nX: y","expires_in":9}', "unreadable"),
        (200, b'{"access_token":"ok","expires_in":' + b"9" * 9_000 + b"}", "unreadable"),
    ],
)
def test_an_answer_without_a_token_names_its_failure(status: int, body: bytes, word: str) -> None:
    source = gt.MetadataServer()
    asked = gt.first(source)
    assert isinstance(asked, gt.Ask)
    assert gt.follow(source, asked, status=status, body=body, now=0) == gt.Failed(word)


@pytest.mark.parametrize(("life_s", "ends"), [(-5, 100), (0, 100), (1e12, 43_300)])
def test_no_answer_makes_a_token_live_for_ever_or_backwards(life_s: float, ends: float) -> None:
    source = gt.MetadataServer()
    asked = gt.first(source)
    assert isinstance(asked, gt.Ask)
    assert gt.follow(source, asked, status=200, body=answer("t", life_s), now=100) == gt.Token("t", ends)


def test_the_next_token_is_asked_for_while_the_old_one_still_opens_links() -> None:
    token = gt.Token("t", expires_at=3_600)
    assert gt.ask_at(token, 0) == 3_360
    assert gt.ask_at(token, 3_500) == 3_550
    assert gt.usable(token, 3_599)
    assert not gt.usable(token, 3_600)
    assert [gt.retry_at(3_360, failures) - 3_360 for failures in (1, 2, 3, 7, 50)] == [1, 2, 4, 60, 60]


def test_no_token_is_shown_when_a_plan_is_printed() -> None:
    source = external(service_account_impersonation_url=IMPERSONATION)
    asked = gt.first(source, file=b"eyJ.secret")
    assert isinstance(asked, gt.Ask)
    then = gt.follow(source, asked, status=200, body=answer("secret-too"), now=0)
    assert "secret" not in repr((asked, then, gt.Token("secret", 1)))
