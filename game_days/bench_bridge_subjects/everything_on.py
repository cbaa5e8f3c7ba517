"""One pod of Holdfast, as its image runs it, with the files of a folder instead of mounted ones.

    everything_on.py FOLDER CONTROL_PORT AUDIO_PORT

Only the scheme by which the buddy is reached differs: in a cluster an ingress ends TLS before the pod.
"""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import uvloop
from holdfast_bridge import providing, settings, telemetry
from holdfast_bridge.main import Bridge, Ports


async def main(folder: Path, control: int, audio: int) -> None:
    ports = Ports(host="127.0.0.1", control=control, audio=audio, peer_scheme="http")
    bridge = Bridge(
        lambda: settings.load(folder, pod=os.environ.get("POD_NAME", "")), ports=ports, fit=providing.fit
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, bridge.stop)
    await bridge.run()


telemetry.log_to_stderr()
gc.freeze()
uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
