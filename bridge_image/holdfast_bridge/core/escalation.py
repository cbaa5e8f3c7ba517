"""Who gets a caller whom no provider in any region can serve: a person, else a machine that records, else an apology.

Pure: an agent's wish in, the carrier's verbs out. Twilio asks `after` + a word when the person or the machine is done;
without such an address it would go on to the next verb after a talk that went well, and fetch the same document again
after a recording (https://www.twilio.com/docs/voice/twiml/dial and .../record).
"""

from __future__ import annotations

import enum
from xml.sax.saxutils import escape, quoteattr

from holdfast_bridge.agent_config import AgentConfig

RING_S = 20
MESSAGE_MAX_S = 120

APOLOGIES = {
    "en": "We are sorry, we cannot take your call at the moment. Please call again in a few minutes.",
    "de": "Leider können wir Ihren Anruf gerade nicht annehmen. Bitte rufen Sie in einigen Minuten wieder an.",
    "es": "Lo sentimos, ahora no podemos atender su llamada. Por favor, llame de nuevo en unos minutos.",
    "fr": "Nous sommes désolés, nous ne pouvons pas prendre votre appel. Merci de rappeler dans quelques minutes.",
}
TRANSFERS = {
    "en": "We are sorry, something is wrong on our side. One moment, we are connecting you.",
    "de": "Bei uns ist leider eine Störung aufgetreten. Einen Moment bitte, wir verbinden Sie.",
    "es": "Lo sentimos, tenemos un problema técnico. Un momento, le pasamos con una persona.",
    "fr": "Nous sommes désolés, nous avons un problème technique. Un instant, nous vous mettons en relation.",
}
MESSAGES = {
    "en": "We are sorry, we cannot take your call at the moment. Please leave a message after the tone.",
    "de": "Leider können wir Ihren Anruf gerade nicht annehmen. Bitte hinterlassen Sie nach dem Ton eine Nachricht.",
    "es": "Lo sentimos, ahora no podemos atender su llamada. Por favor, deje un mensaje después de la señal.",
    "fr": "Nous sommes désolés, nous ne pouvons pas prendre votre appel. Laissez un message après le signal sonore.",
}


class After(enum.Enum):
    """What came of it."""

    TALKED = "talked"
    NOBODY_THERE = "nobody-there"
    RECORDED = "recorded"


def first_verbs(config: AgentConfig, after: str) -> str:
    """`after`: the address that is asked afterwards, but for its last word."""
    to = config.escalation
    if not to.transfer_to:
        return _machine(config, after)
    dial = f'<Dial timeout="{RING_S}" action={quoteattr(after + "dial")}>{escape(to.transfer_to)}</Dial>'
    return _say(TRANSFERS, config) + dial


def next_verbs(config: AgentConfig, after: str, came: After) -> str:
    return _machine(config, after) if came is After.NOBODY_THERE else "<Hangup/>"


def outcome(word: str, dial_status: str) -> After | None:
    """From the last word of the address and Twilio's `DialCallStatus`; None: no such word."""
    if word == "record":
        return After.RECORDED
    if word == "dial":
        return After.TALKED if dial_status in {"completed", "answered"} else After.NOBODY_THERE
    return None


def _machine(config: AgentConfig, after: str) -> str:
    if not config.escalation.voicemail:
        return _say(APOLOGIES, config) + "<Hangup/>"
    record = f'<Record maxLength="{MESSAGE_MAX_S}" playBeep="true" action={quoteattr(after + "record")}/>'
    return _say(MESSAGES, config) + record + "<Hangup/>"


def _say(texts: dict[str, str], config: AgentConfig) -> str:
    short = config.persona.language.partition("-")[0].lower()
    language = short if short in texts else "en"
    return f'<Say language="{language}">{escape(texts[language])}</Say>'
