"""A bridge as tutorials write it: FastAPI takes the carrier's socket, `websockets` dials the provider.

    fastapi_bridge.py LISTEN_PORT PROVIDER_URL

Sound is passed on as base64 and no mark is sent, as in the plainest of them: those that send a mark behind every piece
of sound pay for it.
"""

import asyncio
import json
import sys

import uvicorn
import websockets
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
port, url = int(sys.argv[1]), sys.argv[2]


@app.websocket("/media")
async def media(carrier: WebSocket):
    await carrier.accept()
    async with websockets.connect(url, additional_headers={"Authorization": "Bearer key"}) as provider:
        await provider.send(json.dumps(session_update()))
        stream = None

        async def from_carrier():
            nonlocal stream
            try:
                async for text in carrier.iter_text():
                    data = json.loads(text)
                    if data["event"] == "media":
                        append = {"type": "input_audio_buffer.append", "audio": data["media"]["payload"]}
                        await provider.send(json.dumps(append))
                    elif data["event"] == "start":
                        stream = data["start"]["streamSid"]
            except WebSocketDisconnect:
                pass
            await provider.close()

        async def to_carrier():
            async for text in provider:
                response = json.loads(text)
                if response["type"] == "response.output_audio.delta" and "delta" in response:
                    await carrier.send_json(
                        {"event": "media", "streamSid": stream, "media": {"payload": response["delta"]}}
                    )

        await asyncio.gather(from_carrier(), to_carrier())


def session_update():
    sound = {"format": {"type": "audio/pcmu"}}
    session = {"type": "realtime", "output_modalities": ["audio"], "audio": {"input": sound, "output": sound}}
    return {"type": "session.update", "session": session}


@app.on_event("startup")
async def started():
    print("serving", flush=True)


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
