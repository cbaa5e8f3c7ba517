"""A webhook can tell that a request is ours, also while one secret takes another's place."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import pytest

from holdfast_bridge.core.webhook_signature import headers, key

BODY = b'{"call":"CA1"}'


def signed_by(secret: bytes) -> str:
    mac = hmac.new(secret, b"CA1/1.1.c.1700000000." + BODY, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def test_id_time_and_body_are_signed() -> None:
    assert headers("CA1/1.1.c", BODY, wall_s=1_700_000_000.9, keys=[b"new"]) == {
        "webhook-id": "CA1/1.1.c", "webhook-timestamp": "1700000000", "webhook-signature": signed_by(b"new"),
    }  # fmt: skip


def test_the_example_of_the_specification_is_signed_alike() -> None:
    """Of its reference libraries: one secret, one message, one signature."""
    secret = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert secret is not None
    told = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', wall_s=1_614_265_330, keys=[secret])
    assert told["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_replaced_both_sign() -> None:
    told = headers("CA1/1.1.c", BODY, wall_s=1_700_000_000, keys=[b"new", b"old"])
    assert told["webhook-signature"] == f"{signed_by(b'new')} {signed_by(b'old')}"


def test_without_a_secret_there_is_no_signature() -> None:
    assert headers("CA1/1.1.c", BODY, wall_s=1_700_000_000, keys=[]) == {}


@pytest.mark.parametrize(
    ("written", "read"),
    [("plain text", b"plain text"), ("whsec_YWJj", b"abc"), ("whsec_%", None), ("whsec_", None), ("", None)],
)
def test_a_secret_is_text_or_base64_behind_its_prefix(written: str, read: bytes | None) -> None:
    assert key(written) == read


def test_the_receiver_on_the_page_knows_ours_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """People will copy it."""
    page = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    there: dict[str, Any] = {}
    exec(code, there)
    is_ours = there["is_ours"]
    monkeypatch.setattr(there["time"], "time", lambda: 1_700_000_100.0)
    sent = headers("CA1/1.1.c", BODY, wall_s=1_700_000_000, keys=[b"new", b"old"])
    assert is_ours(sent, BODY, b"new")
    assert is_ours(sent, BODY, b"old")
    assert not is_ours(sent, BODY, b"another")
    assert not is_ours(sent, BODY + b" ", b"new")
    assert not is_ours({**sent, "webhook-id": "CA2/1.1.c"}, BODY, b"new")
    late = headers("CA1/1.1.c", BODY, wall_s=1_699_999_000, keys=[b"new"])
    assert not is_ours(late, BODY, b"new")
