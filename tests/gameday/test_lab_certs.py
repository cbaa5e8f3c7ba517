"""Claims about the lab's certificates."""

from pathlib import Path

import pytest
from cryptography import x509

from holdfast_gameday.lab import certs


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_LAB_STATE", str(tmp_path))


def test_a_leaf_carries_its_names_and_is_signed_by_the_authority() -> None:
    crt, _ = certs.leaf(["api.twilio.com", "172.30.0.101"])
    leaf = x509.load_pem_x509_certificate(crt.read_bytes())
    ca = x509.load_pem_x509_certificate(certs.authority().read_bytes())
    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.twilio.com"]


def test_the_same_question_gives_the_same_certificate() -> None:
    assert certs.leaf(["b", "a"])[0].read_bytes() == certs.leaf(["a", "b"])[0].read_bytes()


def test_keys_are_readable_by_their_owner_only() -> None:
    _, key = certs.leaf(["a"])
    assert key.stat().st_mode & 0o077 == 0
