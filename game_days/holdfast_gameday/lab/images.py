"""Builds the lab's images without a registry or an engine's daemon, and keeps them ready to be plugged into a region.

Everything is keyed by content: unchanged content costs a hash, changed code costs the last layers. It knows how images
are made, not which region runs them.
"""

# ruff: noqa: ASYNC230, ASYNC240 - the lab's own small files, on a local disk
import asyncio
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast_gameday.lab import oci_layout, paths
from holdfast_gameday.lab.commands import LabError, run
from holdfast_gameday.lab.phases import Phases

SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
INCLUDE: Final = "python3,python3-venv,ca-certificates"
DROPPED: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt",
                  "var/lib/apt/lists", "var/log", "usr/share/lintian", "dev")
SOURCES: Final = paths.PACKAGE / "dockerfiles"
CERTIFICATES: Final = "/etc/ssl/certs"
# In a mount and pid namespace of its own: whatever a program mounts or leaves running ends with it.
CONTAINED: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
KEPT: Final = 2  # prepared stores in the cache: this one, and the last, so that going back is free


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: its Dockerfile, the extras whose dependencies it carries, and the folders of its code."""

    image: str
    dockerfile: Path
    extras: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    base: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """All images, unpacked in the root folder of a containerd that regions copy by hard links."""

    digest: str
    containerd: Path


RECIPES: Final = (
    Recipe("localhost/pause:dev", SOURCES / "pause.Dockerfile", base=False),
    Recipe("localhost/holdfast-redis:dev", SOURCES / "redis.Dockerfile"),
    Recipe("localhost/holdfast-bridge:dev", paths.ROOT / "bridge_image" / "Dockerfile", ("bridge",),
           ("bridge_image/holdfast_bridge",)),
    Recipe("localhost/holdfast-operator:dev", paths.ROOT / "operator" / "Dockerfile", ("operator", "gameday"),
           ("operator/holdfast", "game_days/holdfast_gameday", "game_days/scenarios")),
)


async def ensure(phases: Phases) -> Built:
    requirements = {recipe.image: await _requirements(recipe) for recipe in RECIPES}
    digest = await asyncio.to_thread(content_digest, requirements)
    folder = _folder() / "built" / digest
    built = Built(digest, folder / "containerd")
    if (folder / "done").exists():
        os.utime(folder)
        return built
    base = await _base(phases)
    for recipe in RECIPES:
        with phases.phase(f"image {recipe.image}"):
            await _build(recipe, base, requirements[recipe.image])
    with phases.phase("images packed"):
        await _pack(built)
    (folder / "done").touch()
    await asyncio.to_thread(_forget_old, digest)
    return built


def _folder() -> Path:
    return paths.cache() / "images"


def content_digest(requirements: dict[str, str]) -> str:
    digest = hashlib.sha256(f"{SUITE} {INCLUDE} {DROPPED}".encode())
    for recipe in RECIPES:
        digest.update(f"{recipe.image}\n{requirements[recipe.image]}".encode())
        for file in [recipe.dockerfile, *_code_files(recipe)]:
            digest.update(f"{file.relative_to(paths.ROOT)} {file.stat().st_mode & 0o111}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    digest.update((SOURCES / "pause.c").read_bytes())
    return digest.hexdigest()[:16]


def _code_files(recipe: Recipe) -> Iterable[Path]:
    for folder in recipe.code:
        for file in sorted((paths.ROOT / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


async def _requirements(recipe: Recipe) -> str:
    if not recipe.extras:
        return ""
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise LabError("the images' dependencies are read from uv.lock: put `uv` on PATH")
    extras = [word for extra in recipe.extras for word in ("--extra", extra)]
    return await run([uv, "export", "--frozen", "--no-dev", *extras, "--no-emit-project", "--no-header",
                      "--no-annotate", "--format", "requirements-txt"], cwd=paths.ROOT)


async def _base(phases: Phases) -> str:
    """The image the others start from: a minimal Debian with Python, by debootstrap."""
    key = hashlib.sha256(f"{SUITE} {INCLUDE} {DROPPED}".encode()).hexdigest()[:12]
    image = f"localhost/holdfast-base:{key}"
    if await _exists(image):
        return image
    with phases.phase("base image (debootstrap)"):
        rootfs = _folder() / f"rootfs-{key}"
        await asyncio.to_thread(shutil.rmtree, rootfs, ignore_errors=True)
        rootfs.parent.mkdir(parents=True, exist_ok=True)
        await _contained(["debootstrap", "--variant=minbase", f"--include={INCLUDE}", SUITE, rootfs, MIRROR], 900)
        for folder in DROPPED:
            await asyncio.to_thread(shutil.rmtree, rootfs / folder, ignore_errors=True)
            (rootfs / folder).mkdir(parents=True)
        context = _context("base")
        await run(["tar", "--numeric-owner", "-C", rootfs, "-cf", context / "base.tar", "."], deadline_s=120)
        (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        await _storage("buildah", ["build", "-t", image, context])
        await asyncio.to_thread(shutil.rmtree, rootfs)
        await asyncio.to_thread(shutil.rmtree, context)
    return image


async def _build(recipe: Recipe, base: str, requirements: str) -> None:
    context = _context(recipe.image.rpartition("/")[2].partition(":")[0])
    (context / "requirements.txt").write_text(requirements)
    await asyncio.to_thread(_stage_code, recipe, context)
    if not recipe.base:
        await run(["gcc", "-O2", "-static", "-s", "-o", context / "pause", SOURCES / "pause.c"])
    arguments = ["--build-arg", f"BASE={base}"] if recipe.base else []
    await _storage("buildah", [
        "build", "--layers", "--pull-never", "--isolation", "chroot", "--network", "host",
        "--runtime", "/usr/sbin/runc",
        "--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--volume", f"{_pip_settings()}:/etc/pip.conf:ro",
        *arguments, "--file", recipe.dockerfile, "--tag", recipe.image, context,
    ])
    await asyncio.to_thread(shutil.rmtree, context)


def _context(name: str) -> Path:
    context = _folder() / f"context-{name}"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    return context


def _stage_code(recipe: Recipe, context: Path) -> None:
    """Only what belongs in the image, with one fixed date, so that the same content makes the same layer."""
    for file in _code_files(recipe):
        target = context / file.relative_to(paths.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        os.utime(target, (0, 0))
    for folder in recipe.code:
        (context / folder).mkdir(parents=True, exist_ok=True)
    for path in [context, *context.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (0, 0))


def _pip_settings() -> Path:
    """pip inside the build trusts what this machine trusts, and asks the index this machine asks."""
    path = _folder() / "pip.conf"
    lines = ["[global]", f"cert = {CERTIFICATES}/ca-certificates.crt", "timeout = 60", "retries = 5"]
    lines += [f"{key} = {os.environ[name]}" for key, name in
              (("index-url", "PIP_INDEX_URL"), ("extra-index-url", "PIP_EXTRA_INDEX_URL")) if os.environ.get(name)]
    path.write_text("\n".join(lines) + "\n")
    return path


async def _pack(built: Built) -> None:
    """One OCI layout for all images, kept from build to build: layers it has already are not written again."""
    for recipe in RECIPES:
        await _storage("podman", ["save", "--quiet", "--uncompressed", "--format", "oci-dir",
                                  "--output", _layout(), recipe.image])
    await asyncio.to_thread(oci_layout.prune, _layout())
    folder = built.containerd.parent
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    folder.mkdir(parents=True)
    previous = _complete()
    if previous:  # its layers are the same but for the last: nothing is unpacked twice
        await run(["cp", "-al", previous[0] / "containerd", built.containerd], deadline_s=120)
        await asyncio.to_thread(own_databases, built.containerd)
    await _fill(built.containerd)


async def _fill(store: Path) -> None:
    """By a containerd of its own, which ends with the import."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as scratch:
        socket, config = Path(scratch, "c.sock"), Path(scratch, "config.toml")
        config.write_text(
            f'version = 3\nroot = "{store}"\nstate = "{scratch}/state"\n'
            'disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", '
            '"io.containerd.grpc.v1.cri", "io.containerd.podsandbox.controller.v1.podsandbox"]\n'
            f'[grpc]\naddress = "{socket}"\n[plugins."io.containerd.metadata.v1.bolt"]\nno_sync = true\n')
        with Path(scratch, "log").open("wb") as log:
            daemon = await asyncio.create_subprocess_exec(
                *CONTAINED, paths.binaries() / "containerd", "--config", config, "--log-level", "warn",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            await _answering(socket)
            await load([paths.binaries() / "ctr", "--address", socket, "--namespace", "k8s.io"], Path(scratch))
        finally:
            await _end(daemon)


async def _end(daemon: asyncio.subprocess.Process) -> None:
    """`unshare` keeps SIGTERM to itself: the daemon below it is asked to leave its databases in order."""
    for child in Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)
    try:
        async with asyncio.timeout(20):
            await daemon.wait()
    except TimeoutError:
        daemon.kill()
        await daemon.wait()


async def _answering(socket: Path) -> None:
    async with asyncio.timeout(20):
        while not socket.exists():
            await asyncio.sleep(0.02)


async def load(ctr: Sequence[str | Path], scratch: Path) -> None:
    """Into the containerd that `ctr` speaks to: only the layers it has not got."""
    present = set((await run([*ctr, "content", "ls", "--quiet"])).split())
    file = scratch / "images.tar"
    try:
        await asyncio.to_thread(oci_layout.pack, _layout(), file, present)
        await run([*ctr, "images", "import", file], deadline_s=300)
    except LabError:
        # A layer that nothing refers to may be collected between the question and the import.
        await asyncio.to_thread(oci_layout.pack, _layout(), file, set())
        await run([*ctr, "images", "import", file], deadline_s=300)
    finally:
        file.unlink(missing_ok=True)


def archive(target: Path) -> Path:
    """All images, complete, for a runtime that has none of them."""
    oci_layout.pack(_layout(), target, set())
    return target


def _layout() -> Path:
    return _folder() / "layout"


def own_databases(store: Path) -> None:
    """Layers never change and may be shared as hard links; containerd's databases may not."""
    for database in store.rglob("*.db"):
        beside = database.with_suffix(".own")
        shutil.copy(database, beside)
        beside.rename(database)


def _complete() -> list[Path]:
    """The finished sets of images, the latest used first."""
    done = [mark.parent for mark in (_folder() / "built").glob("*/done")]
    return sorted(done, key=lambda folder: folder.stat().st_mtime, reverse=True)


def _forget_old(digest: str) -> None:
    keep = [folder for folder in _complete() if folder.name != digest][: KEPT - 1]
    for folder in (_folder() / "built").iterdir():
        if folder.name != digest and folder not in keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _exists(image: str) -> bool:
    listed = await _storage("buildah", ["images", "--quiet", "--filter", f"reference={image}"], check=False)
    return bool(listed.strip())


async def _storage(program: str, argv: list[str | Path], *, check: bool = True) -> str:
    """buildah or podman on a store of our own, so that an engine of the machine's owner is left alone."""
    store: list[str | Path] = ["--root", _folder() / "storage", "--runroot", _folder() / "storage-run",
                               "--storage-driver", "overlay"]
    return await _contained([program, *store, *argv], 1200, check=check)


async def _contained(argv: list[str | Path], deadline_s: float, *, check: bool = True) -> str:
    return await run([*CONTAINED, *argv], deadline_s=deadline_s, check=check)
