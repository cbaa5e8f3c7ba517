"""TwiML is carried out as written, or refused with Twilio's number."""

from __future__ import annotations

import pytest

from holdfast_gameday.world import twiml


def test_the_answer_of_an_agent_is_understood() -> None:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="/after"><Stream url="wss://fra/media">'
        '<Parameter name="token" value="a.b"/></Stream></Connect>'
        '<Redirect method="POST">https://ams/next?call=CA1&amp;hop=1#ct=1000&amp;rc=1</Redirect></Response>'
    )
    assert twiml.parse(document) == (
        twiml.Connect(twiml.Stream("wss://fra/media", (("token", "a.b"),)), action="/after"),
        twiml.Redirect("https://ams/next?call=CA1&hop=1#ct=1000&rc=1"),
    )


def test_the_other_verbs_are_understood() -> None:
    document = (
        "<Response><Say>Sorry.</Say><Play>https://x/y.wav</Play><Pause length='2'/><Dial><Number>+49</Number></Dial>"
        "<Hangup/></Response>"
    )
    assert twiml.parse(document) == (
        twiml.Say("Sorry."),
        twiml.Play("https://x/y.wav"),
        twiml.Pause(2.0),
        twiml.Dial("+49"),
        twiml.Hangup(),
    )


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", 12100),
        ("<Response>", 12100),
        ("<html/>", 12100),
        ("<Response><Gather/></Response>", 12200),
        ("<Response><Connect/></Response>", 12200),
        ("<Response><Connect><Stream/></Connect></Response>", 12200),
        ("<Response><Redirect/></Response>", 12200),
        ("<Response><Pause length='soon'/></Response>", 12200),
    ],
)
def test_what_cannot_be_carried_out_is_refused(document: str, code: int) -> None:
    with pytest.raises(twiml.TwimlError) as refused:
        twiml.parse(document)
    assert refused.value.code == code
