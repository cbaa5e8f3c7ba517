"""Twilio's own SDK, `twilio-agent-connect`, with its OpenAI Realtime provider, served as its guide serves it.

    agent_connect.py LISTEN_PORT PROVIDER_URL AUTHORITY

It dials the vendor's name whatever it is told, so the run gives it a name service and an authority of its own.
"""

import sys

from tac import TAC
from tac.channels.voice import VoiceChannel
from tac.channels.voice.media_streams.openai_realtime.config import OpenAIRealtimeProviderConfig
from tac.channels.voice.media_streams.openai_realtime.provider import TWILIO_AUDIO_FORMAT_FOR_REALTIME
from tac.core.config import TACConfig
from tac.server import TACFastAPIServer
from tac.server.config import TACServerConfig

config = TACConfig(
    account_sid="AC" + "0" * 31 + "7",
    auth_token="the-carriers-token",
    api_key="SK" + "0" * 32,
    api_secret="secret",
    phone_number="+4930200",
    voice_public_domain="bench.example",
    voice_websocket_path="/media",
    log_level="ERROR",
)
tac = TAC(config=config)
sound = {"format": TWILIO_AUDIO_FORMAT_FOR_REALTIME}
session = {
    "type": "realtime",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "Be kind.",
    "audio": {"input": {**sound, "turn_detection": {"type": "server_vad"}}, "output": {**sound, "voice": "marin"}},
}
channel = VoiceChannel(tac, OpenAIRealtimeProviderConfig(openai_api_key="key", default_session_config=session))
TACFastAPIServer(
    tac=tac, voice_channel=channel, config=TACServerConfig(host="127.0.0.1", port=int(sys.argv[1]))
).start()
