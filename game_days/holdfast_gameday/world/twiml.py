"""TwiML as values. It parses and refuses; what a verb does to a call is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

DOCUMENT_PARSE_FAILURE = 12100
INVALID_TWIML = 12200


class TwimlError(Exception):
    """The document cannot be carried out; `code` is Twilio's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Stream:
    url: str
    parameters: tuple[tuple[str, str], ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Connect:
    stream: Stream
    action: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Play:
    url: str


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Dial:
    target: str
    timeout_s: float = 30.0
    action: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Record:
    """`timeout_s`: the silence that ends it. `action`: empty for the document that this stands in."""

    max_length_s: float = 3600.0
    timeout_s: float = 5.0
    action: str = ""
    method: str = "POST"


Verb = Connect | Redirect | Say | Play | Pause | Hangup | Dial | Record


def parse(document: str) -> tuple[Verb, ...]:
    try:
        root = ET.fromstring(document.strip())  # noqa: S314 - our own regions' answers, in a simulator
    except ET.ParseError as error:
        raise TwimlError(DOCUMENT_PARSE_FAILURE, f"not well-formed XML: {error}") from error
    if root.tag != "Response":
        raise TwimlError(DOCUMENT_PARSE_FAILURE, f"the root element is <{root.tag}>, not <Response>")
    return tuple(_verb(element) for element in root)


def _verb(element: ET.Element) -> Verb:
    text = (element.text or "").strip()
    match element.tag:
        case "Connect":
            return _connect(element)
        case "Redirect":
            return Redirect(_required(text, "<Redirect> names no URL"), _method(element))
        case "Say":
            return Say(text)
        case "Play":
            return Play(_required(text, "<Play> names no URL"))
        case "Pause":
            return Pause(_seconds(element.get("length", "1")))
        case "Hangup":
            return Hangup()
        case "Dial":
            target = _required(text or "".join(element.itertext()).strip(), "<Dial> names nobody")
            rings_s = _seconds(element.get("timeout", "30"))
            return Dial(target, rings_s, element.get("action"), _method(element))
        case "Record":
            lasts_s, still_s = _seconds(element.get("maxLength", "3600")), _seconds(element.get("timeout", "5"))
            return Record(lasts_s, still_s, element.get("action", ""), _method(element))
        case tag:
            raise TwimlError(INVALID_TWIML, f"<{tag}> is not a verb of the practice range")


def _connect(element: ET.Element) -> Connect:
    nouns = list(element)
    if len(nouns) != 1 or nouns[0].tag != "Stream":
        raise TwimlError(INVALID_TWIML, "<Connect> must hold exactly one <Stream>")
    noun = nouns[0]
    parameters: list[tuple[str, str]] = []
    for child in noun:
        if child.tag != "Parameter" or not child.get("name"):
            raise TwimlError(INVALID_TWIML, f"<Stream> may hold named <Parameter>s only, not <{child.tag}>")
        parameters.append((child.get("name", ""), child.get("value", "")))
    url = _required(noun.get("url", "").strip(), "<Stream> has no url")
    action = element.get("action")
    return Connect(Stream(url, tuple(parameters), noun.get("name", "")), action, _method(element))


def _method(element: ET.Element) -> str:
    method = element.get("method", "POST").upper()
    if method not in ("GET", "POST"):
        raise TwimlError(INVALID_TWIML, f"method {method!r} is neither GET nor POST")
    return method


def _seconds(value: str) -> float:
    if not value.isdigit():
        raise TwimlError(INVALID_TWIML, f"length {value!r} is not a whole number of seconds")
    return float(value)


def _required(value: str, message: str) -> str:
    if not value:
        raise TwimlError(INVALID_TWIML, message)
    return value
