"""The stages driven directly: a caller's sound to the ear, its words to the model, the first phrase to the voice.

There is no carrier and no bridge. The ear gets pieces of 80 ms, as its vendor wants them, and the voice what the model
said as soon as a punctuation mark is there, or the end: a voice that is given single words speaks them one by one. How
long the phrase took after its first word is told beside. Sound is played by the same clock as at a carrier.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from holdfast_gameday.bench_latency import stages, talk
from holdfast_gameday.bench_latency.figures import Heard
from holdfast_gameday.world import voice
from holdfast_gameday.world.callers_ear import Ear
from holdfast_gameday.world.callers_script import Dialogue
from holdfast_gameday.world.twilio_pacing import Pacer
from holdfast_gameday.world.twilio_playout import PlayOut

PIECE_OCTETS = 640
_MARKS = (".", ",", ":", ";", "!", "?")


class DirectCall:
    """One caller and the stages."""

    def __init__(
        self, number: int, turns: int, at: stages.Stages, *, http: aiohttp.ClientSession, tool_tls: ssl.SSLContext
    ) -> None:
        self._ear = Ear()
        self._dialogue = Dialogue(talk.turns(f"direct {number}", turns), self._ear, speaker=number)
        self._at = at
        self._http = http
        self._sounds_at: list[float] = []
        self._play = PlayOut(lambda: self._sounds_at.append(asyncio.get_running_loop().time()))
        self._held = b""
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._lines = 0
        self._over = asyncio.Event()
        self._tool_tls = tool_tls
        self.phrases_s: list[float] = []
        """How long each first phrase took after its first word."""

    async def run(self, pacer: Pacer) -> list[Heard]:
        at, secret = self._at, {"Authorization": f"Token {stages.KEY}"}
        listen = f"ws://{at.ear}/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000"
        speak = (
            f"ws://{at.voice}/v1/text-to-speech/{stages.VOICE}/multi-stream-input"
            f"?model_id={stages.VOICE_MODEL}&output_format=ulaw_8000&auto_mode=true"
        )
        async with AsyncExitStack() as stack:
            ear = await stack.enter_async_context(self._http.ws_connect(listen, headers=secret))
            mouth = await stack.enter_async_context(self._http.ws_connect(speak, headers={"xi-api-key": stages.KEY}))
            works = (self._feed(ear), self._hear(ear, mouth), self._sound(mouth))
            tasks = [asyncio.create_task(work) for work in works]
            pacer.add(self._tick)
            try:
                await self._over.wait()
            finally:
                pacer.remove(self._tick)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return talk.heard(self._dialogue.turns, self._sounds_at, at)

    def _tick(self, now: float) -> None:
        sound = self._dialogue.speak(now)
        self._held += voice.SILENT_FRAME if sound is None else sound
        if len(self._held) >= PIECE_OCTETS:
            self._pieces.put_nowait(self._held)
            self._held = b""
        played, _ = self._play.play()
        self._ear.hear(played, now)
        if self._dialogue.wants_to_hang_up:
            self._over.set()

    async def _feed(self, ear: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await ear.send_bytes(await self._pieces.get())

    async def _hear(self, ear: aiohttp.ClientWebSocketResponse, mouth: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ear:
            told = json.loads(message.data)
            if told.get("event") == "EndOfTurn" and told["transcript"]:
                await self._answer(told["transcript"], mouth)

    async def _answer(self, words: str, mouth: aiohttp.ClientWebSocketResponse) -> None:
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "Be kind."}, {"role": "user", "content": words},
        ]  # fmt: skip
        while (call := await self._said(messages, mouth)) is not None:
            messages += await self._book(*call)

    async def _said(
        self, messages: list[dict[str, Any]], mouth: aiohttp.ClientWebSocketResponse
    ) -> tuple[str, str] | None:
        """One reply of the model: spoken, or the call of a tool."""
        loop, call, arguments, phrase, rest = asyncio.get_running_loop(), "", "", "", ""
        first_at: float | None = None
        self._lines += 1
        line = {"context_id": f"line{self._lines}"}
        async for delta in self._deltas(messages):
            for asked in delta.get("tool_calls", ()):
                call, arguments = asked.get("id") or call, arguments + asked["function"]["arguments"]
            if not (text := delta.get("content") or ""):
                continue
            if phrase.endswith(_MARKS):
                rest += text
                continue
            phrase += text
            first_at = first_at or loop.time()
            if phrase.endswith(_MARKS):
                await mouth.send_json({"text": f"{phrase} ", **line})
                self.phrases_s.append(loop.time() - first_at)
        if call:
            return call, arguments
        if not phrase.endswith(_MARKS):
            self.phrases_s.append(loop.time() - (first_at or loop.time()))
            rest = phrase
        await mouth.send_json({"text": f"{rest} ", **line, "flush": True})
        await mouth.send_json({**line, "close_context": True})
        return None

    async def _deltas(self, messages: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        body = {
            "model": stages.MODEL, "messages": messages, "stream": True,
            "tools": [{"type": "function", "function": stages.BOOK}],
        }  # fmt: skip
        secret = {"Authorization": f"Bearer {stages.KEY}"}
        async with self._http.post(
            f"http://{self._at.model}/v1/chat/completions", json=body, headers=secret
        ) as answer:
            answer.raise_for_status()
            async for text in answer.content:
                if text.startswith(b"data: {"):
                    choices = json.loads(text[6:])["choices"]
                    yield choices[0]["delta"] if choices else {}

    async def _book(self, call: str, arguments: str) -> list[dict[str, Any]]:
        asked = {"id": call, "type": "function", "function": {"name": "book", "arguments": arguments}}
        body, key = {"call": call, "arguments": json.loads(arguments)}, {"Idempotency-Key": call}
        async with self._http.post(self._at.tool_url, json=body, headers=key, ssl=self._tool_tls) as answer:
            result = await answer.text()
        return [
            {"role": "assistant", "content": None, "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": call, "content": result},
        ]

    async def _sound(self, mouth: aiohttp.ClientWebSocketResponse) -> None:
        async for message in mouth:
            if audio := json.loads(message.data).get("audio"):
                self._play.write(base64.b64decode(audio))
