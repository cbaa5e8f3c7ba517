"""What an agent that asks vendors to store nothing makes the bridge say to them, as the simulated vendors hear it.

A probe makes its link or its request with the very functions that a call uses, so that it is asked here. Where there is
no switch nothing is sent, and the condition VendorStorageOff names the part.
"""

from __future__ import annotations

from typing import Any

import pytest
from probed_vendors import STAGES, VENDORS, asked, given, held, part_of, serving

from holdfast.core import kinds, privacy
from holdfast.core.agents import Attempt
from holdfast_bridge import provider_probe, speech_codecs
from holdfast_bridge.provider_questions import WELL, Lists
from holdfast_gameday.world.gemini_live import GeminiLive

pytestmark = pytest.mark.contract
COUNTED = {"deepgram-flux", "deepgram-nova", "deepgram-aura", "elevenlabs", "openai-chat"}
"""Kinds whose vendors are told by a word of the request; Gemini is told by what is left out of it."""


def as_written(kind: str, *, off: bool) -> dict[str, Any]:
    """The part's options in agent.json."""
    part = Attempt("a", kind, options=STAGES.get(kind, ("", {}))[1].get("options", {}))
    if kind == "gpt-live":
        part = Attempt("a", kind, options={"backendModel": "gpt-5.5"})
    written = privacy.switched(part) if off else part
    assert not [field for field, _ in kinds.wrong(written, language="en") if field.startswith("options")]
    return dict(written.options)


async def reached(kind: str, port: int, *, off: bool) -> None:
    """The part is asked as a call asks it, and not for a list of models."""
    settings = given(kind, port, options=as_written(kind, off=off))
    [attempt] = settings.agent.attempts
    subject = provider_probe.subject_of(attempt, part_of(settings), settings, held)
    [ask] = (each for each in provider_probe.row_of(attempt, part_of(settings)).asks if not isinstance(each, Lists))
    assert await ask(subject) == WELL


@pytest.mark.parametrize("off", [True, False])
@pytest.mark.parametrize("kind", VENDORS)
async def test_a_vendor_is_told_to_store_nothing_where_the_agent_asks_for_it_and_it_has_a_switch(kind: str, off: bool):
    async with serving(kind) as (server, port):
        await reached(kind, port, off=off)
        assert (server.counts.opened, server.counts.refused) == (1, 0)
        assert bool(server.counts.unstored) is (off and kind in COUNTED)


@pytest.mark.parametrize(("off", "stored"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("vertex", [{}, {"vertex": {"project": "clinic", "location": "europe-west4"}}])
async def test_a_session_of_gemini_that_nobody_could_resume_is_not_kept(vertex: dict[str, Any], off: bool, stored: int):
    vendor = GeminiLive(keys={"practice secret": "clinic"}, tokens={"practice secret": "clinic"})
    async with serving("gemini", vendor) as (_, port):
        options = {**vertex, **as_written("gemini", off=off)}
        assert await asked(given("gemini", port, options=options)) == WELL
        assert vendor.stored == stored


@pytest.mark.parametrize("off", [True, False])
def test_a_session_of_gpt_live_is_never_stored(off: bool):
    settings = given("gpt-live", 1, options=as_written("gpt-live", off=off))
    [opening] = speech_codecs.codec_for(settings.agent.attempts[0], settings).opening()
    assert b'"store":false' in opening
    assert "gpt-live" in privacy.NEVER_STORED


def test_every_kind_is_told_in_one_of_these_ways_or_named_for_its_contract():
    told = {kind for kind in VENDORS if as_written(kind, off=True).get("noStore")}
    assert told == COUNTED | {"gemini"}
    assert {kind for kind in VENDORS if privacy.by_contract([Attempt("a", kind)])} == (
        VENDORS.keys() - told - privacy.NEVER_STORED
    )
