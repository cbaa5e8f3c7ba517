"""Twilio's signature, held against Twilio's own validator."""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator

from holdfast_bridge.core import signature

URL = "https://eu.voice.example.com/a/clinic/front-desk/next?call=CA1&hop=1"
FORM = {"CallSid": "CA1", "From": "+4930123", "Caller Näme": "Zoë"}
PARAMS = {name: [value] for name, value in FORM.items()}


def test_we_sign_as_the_vendor_does() -> None:
    assert signature.sign(URL, PARAMS, "secret") == RequestValidator("secret").compute_signature(URL, FORM)
    assert signature.sign(URL, None, "secret") == RequestValidator("secret").compute_signature(URL, {})


def test_the_vendors_signature_is_accepted_with_either_token_of_a_rotation() -> None:
    signed = RequestValidator("old").compute_signature(URL, FORM)
    assert signature.valid(URL, PARAMS, signed, ("new", "old"))
    assert not signature.valid(URL, PARAMS, signed, ("new",))
    assert not signature.valid(URL, PARAMS, signed, ())


def test_the_port_may_be_signed_or_not() -> None:
    ported = URL.replace(".com/", ".com:443/")
    for signed_url in (URL, ported):
        for seen_url in (URL, ported):
            signed = RequestValidator("t").compute_signature(signed_url, FORM)
            assert signature.valid(seen_url, PARAMS, signed, ("t",))


def test_an_upgrade_is_signed_over_its_wss_url() -> None:
    url = "wss://fra.voice.example.com/a/clinic/front-desk/media"
    signed = RequestValidator("t").compute_signature(url, {})
    assert signature.valid(url, None, signed, ("t",))
    assert not signature.valid(url.replace("wss", "https"), None, signed, ("t",))


@pytest.mark.parametrize("changed", [{"CallSid": ["CA2"]}, {"CallSid": ["CA1"], "Extra": ["1"]}, {}])
def test_any_other_form_is_refused(changed: dict[str, list[str]]) -> None:
    signed = RequestValidator("t").compute_signature(URL, FORM)
    assert not signature.valid(URL, changed, signed, ("t",))


@pytest.mark.parametrize("given", ["", "ü", "\udcff", "x" * 10_000])
def test_nonsense_is_refused_without_an_exception(given: str) -> None:
    assert not signature.valid(URL, PARAMS, given, ("t",))
    assert not signature.valid("https://[bad", PARAMS, given, ("t",))


def test_repeated_form_fields_are_signed_as_the_vendor_does() -> None:
    class Multi(dict[str, list[str]]):
        def getall(self, name: str) -> list[str]:
            return self[name]

    params = {"A": ["2", "1", "2"], "B": ["x"]}
    assert signature.sign(URL, params, "t") == RequestValidator("t").compute_signature(URL, Multi(params))
