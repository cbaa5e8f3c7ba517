"""What a `kubectl` of our own answers, out of one file. Standard library only: it starts as a program, many times.

It knows `config view`, `get --raw`, `create --raw` and `patch --type=merge`, and fails as kubectl does.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time

API = "/apis/holdfast.dev/v1alpha1"
NOT_FOUND = {"error": "Error from server (NotFound): the server could not find the requested resource"}


def answer(world, words, stdin, store=lambda world: None):
    """An object; {"error": …} when it fails, "hang" when it never answers. `store` keeps what a patch changed."""
    plain = [word for word in words if not word.startswith("-")]
    if plain[:2] == ["config", "view"]:
        return world["config"]
    flags = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    cluster = world["clusters"].get(flags.get("--context"), {"error": "error: context does not exist"})
    if not isinstance(cluster, dict) or "error" in cluster:
        return cluster
    if plain[0] == "patch":
        dry = "--dry-run=server" in words
        return _patched(cluster, plain[2], json.loads(stdin()), dry=dry, world=world, store=store)
    if plain[0] == "create":
        found = cluster.get(plain[1], NOT_FOUND)
        if isinstance(found, list):
            # Of several answers the first whose words are in what was asked.
            asked = stdin()
            return next((then for when, then in found if when in asked), NOT_FOUND)
        return found
    return _read(cluster, plain[-1])


def _read(cluster, path):
    """A Lease may be asked for alone, or with all the others."""
    if path in cluster:
        return _renewed(cluster[path])
    folder, _, name = path.rpartition("/")
    if folder.endswith("/leases") and isinstance(cluster.get(folder), dict) and "items" in cluster[folder]:
        found = [each for each in _renewed(cluster[folder])["items"] if each["metadata"]["name"] == name]
        return found[0] if found else NOT_FOUND
    return NOT_FOUND


def _renewed(found):
    """A Lease of which only the age is told was renewed so long before it is read."""
    if not (isinstance(found, dict) and "beats" in found):
        return found
    now = dt.datetime.fromtimestamp(time.time(), tz=dt.timezone.utc)  # noqa: UP017 - as old Pythons write it
    told = []
    for each in found["items"]:
        spec = dict(each["spec"])
        if "ago" in spec:
            spec["renewTime"] = (now - dt.timedelta(seconds=spec.pop("ago"))).isoformat()
        told.append({**each, "spec": spec})
    return {"items": told}


def _patched(cluster, name, patch, *, dry, world, store):
    if "patch" in cluster:
        return cluster["patch"]
    items = cluster.get(f"{API}/regions", {}).get("items", [])
    for index, each in enumerate(items):
        if each["metadata"]["name"] == name:
            after = _merged(each, patch)
            if not cluster.get("drainKnown", True):
                # The API server prunes what the schema does not know.
                (after["spec"].get("cordon") or {}).pop("drain", None)
            if not dry:
                items[index] = after
                store(world)
            return after
    return {"error": "Error from server (NotFound): regions.holdfast.dev not found"}


def _merged(old, new):
    if not isinstance(new, dict):
        return new
    kept = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = _merged(kept.get(key), value)
    return kept


def main(world_file, log_file):
    words = sys.argv[1:]
    with open(log_file, "a") as log:
        log.write(json.dumps(words) + "\n")
    with open(world_file) as file:
        world = json.load(file)

    def store(changed):
        # Whole, or not at all: others read it meanwhile.
        with open(f"{world_file}.{os.getpid()}", "w") as new:
            json.dump(changed, new)
        os.replace(new.name, world_file)

    found = answer(world, words, sys.stdin.read, store)
    if found == "hang":
        time.sleep(60)
    if isinstance(found, dict) and "error" in found:
        return found["error"]
    print(found if isinstance(found, str) else json.dumps(found))
    return 0
