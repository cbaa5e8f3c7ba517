"""Claims about packing images: only what the receiver lacks travels."""

import json
import tarfile
from pathlib import Path

from holdfast_gameday.lab import oci_layout


def layout(folder: Path) -> Path:
    """One image of two layers, and a blob that nothing needs any more."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text("{}")
    (folder / "index.json").write_text(json.dumps({"manifests": [
        {"digest": "sha256:manifest", "annotations": {oci_layout.NAME: "localhost/x:dev"}}]}))
    (blobs / "manifest").write_text(json.dumps(
        {"config": {"digest": "sha256:config"}, "layers": [{"digest": "sha256:base"}, {"digest": "sha256:code"}]}))
    for name in ("config", "base", "code", "stale"):
        (blobs / name).write_text(name)
    return folder


def packed(target: Path) -> set[str]:
    with tarfile.open(target) as archive:
        return {Path(name).name for name in archive.getnames()}


def test_an_archive_for_nobody_in_particular_is_complete(tmp_path: Path) -> None:
    oci_layout.pack(layout(tmp_path / "l"), tmp_path / "a.tar", set())
    assert packed(tmp_path / "a.tar") == {"oci-layout", "index.json", "manifest", "config", "base", "code"}


def test_layers_the_receiver_has_stay_at_home(tmp_path: Path) -> None:
    oci_layout.pack(layout(tmp_path / "l"), tmp_path / "a.tar", {"sha256:base"})
    assert packed(tmp_path / "a.tar") == {"oci-layout", "index.json", "manifest", "config", "code"}


def test_pruning_forgets_an_image_whose_name_moved_on(tmp_path: Path) -> None:
    """Its layers are gone from the receivers; an import that names it would fail."""
    folder = layout(tmp_path / "l")
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:stale"}, *index["manifests"]]}))
    oci_layout.prune(folder)
    kept = json.loads((folder / "index.json").read_text())["manifests"]
    assert [each["digest"] for each in kept] == ["sha256:manifest"]
    assert not (folder / "blobs" / "sha256" / "stale").exists()


def test_pruning_removes_only_what_no_image_needs(tmp_path: Path) -> None:
    folder = layout(tmp_path / "l")
    oci_layout.prune(folder)
    assert {each.name for each in (folder / "blobs" / "sha256").iterdir()} == {"manifest", "config", "base", "code"}
