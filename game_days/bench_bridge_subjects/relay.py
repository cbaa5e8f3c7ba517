"""The floor: what comes from the carrier goes to a provider, and back, with nothing looked at but the sound's place.

    relay.py LISTEN_PORT PROVIDER_URL [CERTIFICATE AUTHORITY]

No signature, no token, no call: what any bridge on picows costs at least.
"""

import asyncio
import ssl
import sys

import picows
import uvloop

MARK = b'"payload":"'
APPEND = b'{"type":"input_audio_buffer.append","audio":"'
DELTA = b'"delta":"'
AUDIO = b'{"type":"response.output_audio.delta"'
TEXT = picows.WSMsgType.TEXT


class Provider(picows.WSListener):
    def __init__(self, carrier):
        self.carrier = carrier

    def on_ws_connected(self, transport):
        self.carrier.provider = transport
        transport.send(TEXT, b'{"type":"session.update","session":{"type":"realtime"}}')

    def on_ws_frame(self, transport, frame):
        if frame.msg_type is not TEXT:
            return
        message = frame.get_payload_as_bytes()
        if message.startswith(AUDIO):
            begin = message.index(DELTA) + len(DELTA)
            sound = message[begin : message.index(b'"', begin)]
            self.carrier.transport.send(TEXT, self.carrier.head + sound + b'"}}')


class Carrier(picows.WSListener):
    def __init__(self, url, context):
        self.url, self.context = url, context
        self.transport = self.provider = self.dialling = None
        self.head = b""

    def on_ws_connected(self, transport):
        self.transport = transport

    def on_ws_frame(self, transport, frame):
        if frame.msg_type is not TEXT:
            return
        message = frame.get_payload_as_bytes()
        place = message.find(MARK)
        if place >= 0:
            if self.provider is not None:
                begin = place + len(MARK)
                self.provider.send(TEXT, APPEND + message[begin : message.index(b'"', begin)] + b'"}')
        elif b'"event":"start"' in message:
            begin = message.index(b'"streamSid":"') + 13
            stream = message[begin : message.index(b'"', begin)]
            self.head = b'{"event":"media","streamSid":"' + stream + b'","media":{"payload":"'
            self.dialling = asyncio.ensure_future(
                picows.ws_connect(lambda: Provider(self), self.url, ssl_context=self.context)
            )

    def on_ws_disconnected(self, transport):
        if self.provider is not None:
            self.provider.disconnect()


async def main(port, url, authority=None):
    context = None
    if authority:
        context = ssl.create_default_context(cafile=authority)
        context._aiofastnet_force_fallback_ssl = True
    server = await picows.ws_create_server(lambda request: Carrier(url, context), "127.0.0.1", int(port))
    print("serving", flush=True)
    await server.serve_forever()


uvloop.run(main(*sys.argv[1:]))
