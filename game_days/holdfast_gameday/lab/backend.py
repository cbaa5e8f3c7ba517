"""What a lab backend can do, and which of the two is used: kind where an engine is, network namespaces elsewhere.

The choice is a pure function of what was seen; seeing it is `look`.
"""

import asyncio
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.lab.phases import Phases

Kind = Literal["kind", "local"]
NODE_IMAGE = "kindest/node:v1.34.0"
ENGINE_DEADLINE_S = 1.5
PULL_DEADLINE_S = 10.0
MEND = (
    "The lab cannot run on this machine. Either\n"
    "  1. start a container engine (Docker) and put a `kind` binary on PATH, or\n"
    "  2. use Linux as root (a virtual machine will do): the lab then runs real clusters in network namespaces, "
    "without an engine."
)


class Backend(Protocol):
    """Three clusters and their faults. Every method may be repeated safely."""

    name: Kind

    async def up(self, phases: Phases, *, empty: bool) -> None: ...
    async def down(self, phases: Phases) -> None: ...
    async def load_images(self, phases: Phases) -> None: ...
    async def ready(self, region: str) -> bool: ...
    async def kill(self, region: str) -> None: ...
    async def blackhole(self, region: str) -> None: ...
    async def heal(self, region: str) -> None: ...
    async def cut(self, a: str, b: str) -> None: ...
    async def heal_cut(self, a: str, b: str) -> None: ...
    async def slow_links(self, one_way_ms: int, jitter_ms: int = 0) -> None: ...
    async def lose(self, percent: float) -> None: ...
    async def falter(self, percent: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of the machine. `engine` is the engine's server version, empty when it does not answer."""

    wish: str
    linux: bool
    root: bool
    engine: str = ""
    kind_binary: str = ""
    node_image: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    backend: Kind
    reason: str


def choose(facts: Facts) -> Choice:
    """Raises LabError, naming both ways to mend it, when neither backend can run."""
    if facts.wish not in {"auto", "kind", "local"}:
        raise LabError(f"LAB_BACKEND is auto, kind or local, not {facts.wish!r}")
    why_not_kind = _why_not_kind(facts)
    local = facts.linux and facts.root
    if facts.wish == "kind":
        if why_not_kind:
            raise LabError(f"LAB_BACKEND=kind, but {why_not_kind}.\n{MEND}")
        return Choice("kind", "LAB_BACKEND asks for it")
    if facts.wish == "local":
        if not local:
            raise LabError(f"LAB_BACKEND=local, but this is not Linux as root.\n{MEND}")
        return Choice("local", "LAB_BACKEND asks for it")
    if not why_not_kind:
        return Choice("kind", f"engine {facts.engine} answers, {facts.kind_binary} and its node image are here")
    if local:
        return Choice("local", why_not_kind)
    raise LabError(MEND)


def _why_not_kind(facts: Facts) -> str:
    if not facts.engine:
        return "no container engine's server answers"
    if not facts.kind_binary:
        return "no kind binary is on PATH"
    if not facts.node_image:
        return f"the node image {NODE_IMAGE} is neither here nor pulled within {PULL_DEADLINE_S:.0f} s"
    return ""


async def look() -> Facts:
    wish = os.environ.get("LAB_BACKEND", "auto")
    machine = Facts(wish=wish, linux=platform.system() == "Linux", root=hasattr(os, "geteuid") and os.geteuid() == 0)
    if wish == "local" or not shutil.which("docker"):
        return machine
    engine = await _output(["docker", "version", "--format", "{{.Server.Version}}"], ENGINE_DEADLINE_S)
    binary = shutil.which("kind") or ""
    image = False
    if engine and binary:
        image = bool(await _output(["docker", "image", "inspect", "--format", "{{.Id}}", NODE_IMAGE], 5)) or bool(
            await _output(["docker", "pull", "--quiet", NODE_IMAGE], PULL_DEADLINE_S))
    return Facts(wish=wish, linux=machine.linux, root=machine.root, engine=engine, kind_binary=binary, node_image=image)


async def _output(argv: Sequence[str | Path], deadline_s: float) -> str:
    """What the program said, or nothing when it failed or was late: here both are an answer."""
    process = await asyncio.create_subprocess_exec(
        *map(str, argv), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(deadline_s):
            stdout, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return stdout.decode().strip() if process.returncode == 0 else ""
