"""The simulated ElevenLabs as the vendor's own client, the `elevenlabs` package, its description and our codec see it.

The package speaks `stream-input` only, and only over TLS. The description states no licence, so it is not part of this
repository: it is read from the folder `shared/apis` beside the project where that is there. It is older than the
package and lacks the message of an error, `isFinal` beside sound and `audio` beside `isFinal`; and it writes
`charsDurationsMs` where the package, and the vendor's server, write `charDurationsMs`.
"""

import asyncio
import json
import ssl
from pathlib import Path

import httpx
import pytest
from elevenlabs.client import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import VoiceSettings
from jsonschema import Draft202012Validator
from websockets.exceptions import ConnectionClosed
from world_speaking import KEY, QUICK, Voice, asked, served, spoken
from world_vendors_tls import contexts

from holdfast_bridge.core import stages as st
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providers.elevenlabs import ElevenLabsSpeaking, ElevenLabsVoice, headers, link_url
from holdfast_gameday.world import elevenlabs as simulated
from holdfast_gameday.world.vendor_sockets import VendorSockets

pytestmark = pytest.mark.contract
SPEC = Path(__file__).parents[2].parent / "shared" / "apis" / "elevenlabs-ws.asyncapi.json"
VOICE = ElevenLabsVoice(voice="v1", stability=0.5)


@pytest.fixture
async def vendor():
    async with served(simulated.ElevenLabs(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        yield sockets, f"ws://{address}"


async def _voice(base: str, key: str = KEY, session: ElevenLabsVoice = VOICE) -> Voice:
    return await Voice.open(ElevenLabsSpeaking(session), link_url(base, session, {}), headers(key))


# --- the vendor's client

_DEPRECATED = pytest.mark.filterwarnings("ignore:ConnectionClosed.(code|reason):DeprecationWarning")
"""The package asks a closed connection for its end in a way that `websockets` gave up."""


@pytest.fixture
async def over_tls(tmp_path, monkeypatch):
    """The address of a simulator that the vendor's package trusts."""
    server_side, client_side = contexts(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "crt.pem"))
    sockets = VendorSockets(simulated.ElevenLabs(keys={KEY: "clinic"}, pace=QUICK))
    async with sockets.serving("127.0.0.1", 0, ssl_context=server_side) as address:
        yield f"https://{address}", client_side


def _spoken_by_the_official_client(base: str, key: str) -> bytes:
    """Its socket is read in one thread and written in another, which Python's TLS does not always bear.

    https://github.com/python/cpython/issues/143756
    """
    for _ in range(5):
        try:
            return _spoken_once(base, key)
        except ConnectionClosed as closed:
            if not isinstance(closed.__cause__, ssl.SSLError):
                raise
    raise AssertionError("five times in a row its TLS broke")


def _spoken_once(base: str, key: str) -> bytes:
    client = ElevenLabs(api_key=key, base_url=base)
    return b"".join(
        client.text_to_speech.convert_realtime(
            "v1", text=iter(["Hello there, ", "how are you ", "today?"]), model_id="eleven_flash_v2_5",
            output_format="ulaw_8000", voice_settings=VoiceSettings(stability=0.5),
        )
    )  # fmt: skip


@_DEPRECATED
async def test_the_official_client_speaks_a_text_in_pieces(over_tls):
    sound = await asyncio.to_thread(_spoken_by_the_official_client, over_tls[0], KEY)
    assert " ".join(spoken(sound)) == "Hello there, how are you today?"


@_DEPRECATED
async def test_the_official_client_is_sent_away_with_a_wrong_key(over_tls):
    with pytest.raises(ApiError) as refused:
        await asyncio.to_thread(_spoken_by_the_official_client, over_tls[0], "wrong")
    assert refused.value.status_code == 1008


async def test_the_official_client_probes_its_key(over_tls):
    base, client_side = over_tls
    async with httpx.AsyncClient(verify=client_side) as http:
        client = AsyncElevenLabs(api_key=KEY, base_url=base, httpx_client=http)
        subscription = await client.user.subscription.get()
        assert (subscription.tier, subscription.status) == ("scale", "active")
        assert "eleven_flash_v2_5" in [model.model_id for model in await client.models.list()]
        with pytest.raises(ApiError) as refused:
            await AsyncElevenLabs(api_key="wrong", base_url=base, httpx_client=http).user.subscription.get()
        assert refused.value.status_code == 401


# --- our codec


async def test_a_wrong_key_and_an_unknown_voice_are_told_on_the_open_link():
    server = simulated.ElevenLabs(keys={KEY: "clinic"}, pace=QUICK, voices=("v1",))
    async with served(server) as (_, address):
        wrong_key = await _voice(f"ws://{address}", "wrong")
        assert await wrong_key.until_lost() == st.StageLost("auth", retry_same=False)
        unknown = await _voice(f"ws://{address}", session=ElevenLabsVoice(voice="v2"))
        assert await unknown.until_lost() == st.StageLost("config", retry_same=False)


async def test_links_over_the_limit_are_refused():
    async with served(simulated.ElevenLabs(keys={KEY: "clinic"}, pace=QUICK, limit=1)) as (_, address):
        first = await _voice(f"ws://{address}")
        with pytest.raises(ProviderUnreachable) as refused:
            await _voice(f"ws://{address}")
        assert refused.value.error_class == "rate"
        first.close()


@pytest.mark.skipif(not SPEC.is_file(), reason=f"the vendor's description is not there ({SPEC})")
async def test_all_that_is_sent_either_way_is_described_by_the_vendor(vendor):
    _, base = vendor
    session = ElevenLabsVoice(voice="v1", language="de", no_store=True, stability=0.5, speed=1.1)
    url = link_url(base, session, {})
    voice = await Voice.open(ElevenLabsSpeaking(session), url, headers(KEY))
    voice.give(ElevenLabsSpeaking(session).keep_alive())
    voice.say("a1", "Hello there.")
    voice.say("a2", "Never mind. ")
    await voice.until_sound("a2")
    voice.cancel("a2")
    voice.end("a1")
    await voice.until(st.LineDone("a1"))
    voice.give(ElevenLabsSpeaking(session).closing())
    await voice.until_lost()

    query, sides, schemas = _description()
    assert set(asked(url, {}).query) <= query
    for message in voice.sent:
        assert _fits(message, sides["publish"], schemas), message
    for message in voice.came:
        assert _fits(message, sides["subscribe"], schemas, later=frozenset({"isFinal", "audio"})), message


# --- the description


def _description() -> tuple[set[str], dict[str, list[str]], dict]:
    """The parameters of the address, the schemas of each side's messages by name, and all schemas."""
    spec = json.loads(SPEC.read_text())
    channel = spec["channels"]["/v1/text-to-speech/{voice_id}/multi-stream-input"]
    payloads = {name: each["payload"]["$ref"] for name, each in spec["components"]["messages"].items()}
    sides = {
        side: [_last(payloads[_last(each["$ref"])]) for each in channel[side]["message"]["oneOf"]]
        for side in ("publish", "subscribe")
    }
    return set(channel["bindings"]["ws"]["query"]["properties"]), sides, _nullable(spec["components"]["schemas"])


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _nullable(schema):
    """`nullable` beside a `$ref` says nothing to a validator of today."""
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _nullable(each) for name, each in schema.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


def _fits(message: dict, names: list[str], schemas: dict, *, later: frozenset[str] = frozenset()) -> bool:
    """One of these schemas holds the message, and knows all its fields but those that came `later`."""
    for name in names:
        validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})
        if set(message) <= set(schemas[name]["properties"]) | later and validator.is_valid(message):
            return True
    return False
