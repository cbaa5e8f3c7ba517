"""One pod of Holdfast with everything on, as the bench runs it, which also notes what cannot be seen from outside.

    observed_pod.py FOLDER CONTROL_PORT AUDIO_PORT NOTES

A line of NOTES is one JSON object: {"at": …, "tasks": …} every second; {"ended": call, "epoch": …, "seq": …,
"new": …} for each record of an ended call that came from the other pod, `new` if it was not known yet; {"after": call}
for one of a live call that came once its end was known.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

import uvloop
from holdfast_bridge import providing, settings, telemetry
from holdfast_bridge.core import journal
from holdfast_bridge.journal_desk import JournalDesk
from holdfast_bridge.main import Bridge, Ports

TASKS_EVERY_S = 1.0


class Noting:
    """The pod's memory, as its desk uses it: everything that another pod sends passes here."""

    def __init__(self, memory, note):
        self.get = memory.get
        self._memory = memory
        self._note = note

    def put(self, record):
        known = self._memory.get(record.call)
        if record.state == "ended":
            new = known is None or known.state != "ended" or journal.rank(known) != journal.rank(record)
            self._note({"ended": record.call, "epoch": record.epoch, "seq": record.seq, "new": new})
        elif known is not None and known.state == "ended" and journal.supersedes(record, known):
            self._note({"after": record.call, "epoch": record.epoch, "seq": record.seq})
        return self._memory.put(record)


async def count_tasks(note):
    while True:
        note({"at": time.monotonic(), "tasks": len(asyncio.all_tasks())})
        await asyncio.sleep(TASKS_EVERY_S)


async def main(folder, control, audio, notes):
    def note(what):
        notes.write(json.dumps(what) + "\n")

    ports = Ports(host="127.0.0.1", control=control, audio=audio, peer_scheme="http")
    bridge = Bridge(
        lambda: settings.load(folder, pod=os.environ.get("POD_NAME", "")), ports=ports, fit=providing.fit
    )
    memory = Noting(bridge.memory, note)
    agent = settings.load(folder, pod="").agent
    bridge.desk = JournalDesk(
        agent=agent.id, memory=memory, redis=bridge.redis, on_newer=bridge.calls.newer,
        unwritten=bridge.journal.to_region,
    )  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, bridge.stop)
    counting = asyncio.create_task(count_tasks(note))
    await bridge.run()
    counting.cancel()


telemetry.log_to_stderr()
gc.freeze()
with Path(sys.argv[4]).open("w", buffering=1) as kept:
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), kept))
