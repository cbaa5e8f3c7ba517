"""A pipecat bot as its telephony examples have it: FastAPI transport, Twilio serializer, OpenAI Realtime, 8 kHz.

    pipecat_bot.py LISTEN_PORT PROVIDER_URL

All calls share one process and one event loop, as with every other subject. No detector of speech of its own runs: the
provider detects.
"""

import json
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="ERROR")
app = FastAPI()
port, url = int(sys.argv[1]), sys.argv[2].partition("?")[0]


@app.websocket("/media")
async def media(carrier: WebSocket):
    await carrier.accept()
    await carrier.receive_text()
    start = json.loads(await carrier.receive_text())["start"]
    serializer = TwilioFrameSerializer(
        stream_sid=start["streamSid"],
        call_sid=start["callSid"],
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer)
    transport = FastAPIWebsocketTransport(websocket=carrier, params=params)
    model = OpenAIRealtimeLLMService(api_key="key", base_url=url)
    worker = PipelineWorker(
        Pipeline([transport.input(), model, transport.output()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
