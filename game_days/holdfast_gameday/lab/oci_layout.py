"""An OCI image layout on disk: what its index reaches, and archives of it that leave out what the receiver has.

It reads and packs files. It knows no image by name and runs no program.
"""

import json
import tarfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

NAME = "org.opencontainers.image.ref.name"


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def descriptions(layout: Path) -> Iterator[str]:
    """Digests of the manifests and image configurations: small, and always wanted."""
    for entry in _read(layout / "index.json")["manifests"]:
        yield entry["digest"]
        yield _read(_blob(layout, entry["digest"]))["config"]["digest"]


def layers(layout: Path) -> Iterator[str]:
    for entry in _read(layout / "index.json")["manifests"]:
        for layer in _read(_blob(layout, entry["digest"]))["layers"]:
            yield layer["digest"]


def prune(layout: Path) -> None:
    """Removes what no named image needs any more. An image whose name moved on stays in the index, nameless."""
    index = _read(layout / "index.json")
    index["manifests"] = [entry for entry in index["manifests"] if NAME in entry.get("annotations", {})]
    (layout / "index.json").write_text(json.dumps(index))
    needed = {digest.removeprefix("sha256:") for digest in (*descriptions(layout), *layers(layout))}
    for blob in (layout / "blobs" / "sha256").iterdir():
        if blob.name not in needed:
            blob.unlink()


def pack(layout: Path, target: Path, present: AbstractSet[str]) -> None:
    """Everything but the layers that the receiver says it has."""
    wanted = {*descriptions(layout), *(digest for digest in layers(layout) if digest not in present)}
    with tarfile.open(target, "w") as archive:
        for name in ("oci-layout", "index.json"):
            archive.add(layout / name, name)
        for digest in sorted(wanted):
            blob = _blob(layout, digest)
            archive.add(blob, str(blob.relative_to(layout)))
