"""A kind's own configuration: what an attempt says of it, and what is said when that cannot be meant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from holdfast_bridge.errors import SettingsError
from holdfast_bridge.kind_options import configured


@dataclass(frozen=True)
class Place:
    project: str
    location: str = "eu"


@dataclass(frozen=True, kw_only=True)
class Session:
    model: str
    voice: str = "kora"
    silence_ms: int = 500
    place: Place | None = None


def test_what_is_given_empty_is_the_kinds_own_default() -> None:
    assert configured(Session, {}, of="gemini", model="m", voice="") == Session(model="m")


def test_an_option_goes_before_what_the_attempt_says_and_is_written_in_camel_case() -> None:
    found = configured(Session, {"silenceMs": 300, "place": {"project": "p"}}, of="gemini", model="m", silence_ms=700)
    assert found == Session(model="m", silence_ms=300, place=Place("p"))


def test_what_a_kind_has_no_room_for_is_left_out() -> None:
    assert configured(Session, {}, of="gemini", model="m", barge_in=True) == Session(model="m")


def test_what_a_kind_needs_is_given_even_when_it_is_empty() -> None:
    assert configured(Session, {}, of="gemini", model="").model == ""


def test_an_option_that_the_kind_does_not_have_is_named_with_those_it_has() -> None:
    with pytest.raises(SettingsError, match=r"gemini: options has no 'silenceMS'; it has place, silenceMs, voice"):
        configured(Session, {"silenceMS": 1}, of="gemini", model="m")


def test_an_option_of_the_wrong_type_is_named() -> None:
    with pytest.raises(SettingsError, match=r"gemini: options: Expected `int`, got `str` - at `\$.silence_ms`"):
        configured(Session, {"silenceMs": "300"}, of="gemini", model="m")
