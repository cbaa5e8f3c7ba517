"""Which parts of an attempt have their vendor's switch thrown, and which have none."""

from __future__ import annotations

import pytest

from holdfast.core import privacy
from holdfast.core.agents import Attempt
from holdfast.core.kinds import KINDS

SWITCHED = {"deepgram-flux", "deepgram-nova", "deepgram-aura", "elevenlabs", "gemini", "openai-chat"}
NONE = {"anthropic", "azure-openai", "azure-voice-live", "bedrock", "cartesia", "openai"}


def test_every_kind_is_one_of_three():
    """A kind that is added has to be looked up at its vendor, and to be put into one of them."""
    assert {kind for kind, of in KINDS.items() if "noStore" in of.options} == SWITCHED
    assert KINDS.keys() == SWITCHED | NONE | privacy.NEVER_STORED


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_switch_is_thrown_where_there_is_one(kind: str):
    part = privacy.switched(Attempt("a", kind, options={"extra": 1}))
    assert part.options == ({"extra": 1, "noStore": True} if kind in SWITCHED else {"extra": 1})
    assert privacy.by_contract([part]) == ((f"a ({kind})",) if kind in NONE else ())
    assert privacy.left_on([part]) == ()


def test_a_part_that_says_itself_what_it_wants_is_left_as_it_is_and_named():
    stages = (Attempt("c/hearing", "deepgram-flux"), Attempt("c/speaking", "elevenlabs", options={"noStore": False}))
    cascade = privacy.switched(Attempt("c", "cascade", stages=stages))
    assert [stage.options for stage in cascade.stages] == [{"noStore": True}, {"noStore": False}]
    assert privacy.left_on([cascade]) == ("c/speaking (elevenlabs)",)


def test_what_is_no_vendor_has_nothing_to_switch():
    assert privacy.switched(Attempt("echo", "loopback")).options == {}
