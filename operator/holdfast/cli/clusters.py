"""Reads clusters through kubectl: every one at the same time, none longer than the budget, and none that is silent
keeps the others from being shown.

What cannot be read is a sentence, not an exception: an unreachable API server is news about that API server only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from holdfast.cli.exits import ExitStatus, Failure
from holdfast.core import audit

Object = dict[str, Any]

API = "/apis/holdfast.dev/v1alpha1"
REGIONS = f"{API}/regions"
POLICIES = f"{API}/failoverpolicies"

WHY_CHARS_MAX = 200
TIME_OUTS = ("Client.Timeout", "context deadline exceeded", "i/o timeout", "request timed out")


@dataclass(frozen=True, slots=True)
class Source:
    """One kubeconfig context, and the region it is taken for."""

    context: str
    region: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What one path answered. `why` is empty when it did; a path that holds nothing answers an empty object."""

    content: Object = field(default_factory=dict)
    why: str = ""
    silent: bool = False  # within the budget; of a write nobody knows whether it was done

    @property
    def forbidden(self) -> bool:
        return "(Forbidden)" in self.why


@dataclass(frozen=True, slots=True)
class Cluster:
    """One region's cluster as it was read."""

    region: str
    context: str
    regions: tuple[Object, ...] = ()
    policies: tuple[Object, ...] = ()
    agents: tuple[Object, ...] = ()
    trail: audit.Trail = field(default_factory=audit.Trail)


_over = threading.Event()
_running: set[subprocess.Popen[str]] = set()


def end_all() -> None:
    """End every kubectl and begin no more: a cluster that is silent does not keep whoever presses Ctrl-C."""
    _over.set()
    for each in tuple(_running):
        each.kill()


class Kubectl:
    """The kubectl on PATH, within one budget that starts now."""

    def __init__(self, *, kubeconfig: str = "", budget_s: float = 2.0) -> None:
        found = shutil.which("kubectl")
        if found is None:
            raise Failure("kubectl is not on PATH", next_command="kubectl version --client")
        self._argv = [found, *([f"--kubeconfig={kubeconfig}"] if kubeconfig else [])]
        self.budget_s = budget_s
        self._ends = time.monotonic() + budget_s

    def config(self) -> Object:
        """The kubeconfig as kubectl merges it; credentials are left out by kubectl itself."""
        answered = self._run(["config", "view", "-o", "json"])
        if answered.why:
            raise Failure(f"the kubeconfig cannot be read: {answered.why}", next_command="kubectl config view")
        return answered.content

    def get(self, asked: Sequence[tuple[str, str]]) -> list[Answered]:
        """Many (context, path) at once."""
        with ThreadPoolExecutor(max_workers=max(len(asked), 1)) as pool:
            return list(pool.map(lambda each: self._raw(*each), asked))

    def _raw(self, context: str, path: str) -> Answered:
        left_ms = max(int((self._ends - time.monotonic()) * 1000), 1)
        return self._run([f"--context={context}", f"--request-timeout={left_ms}ms", "get", "--raw", path])

    def send(self, context: str, words: Sequence[str], body: Mapping[str, Any]) -> Answered:
        """A command that reads one object from standard input: what is in it never shows in a list of processes.

        Here what is not found is a failure, and silence leaves the outcome unknown.
        """
        left_ms = max(int((self._ends - time.monotonic()) * 1000), 1)
        flags = [f"--context={context}", f"--request-timeout={left_ms}ms"]
        return self._run([*flags, *words], body=json.dumps(body))

    def _run(self, words: list[str], *, body: str | None = None) -> Answered:
        if _over.is_set():
            return Answered(why="interrupted")
        with subprocess.Popen(  # noqa: S603 - kubectl, with words of ours and names from the kubeconfig
            [*self._argv, *words],
            stdin=subprocess.DEVNULL if body is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            _running.add(process)
            try:
                if _over.is_set():
                    process.kill()
                said, complaint = process.communicate(body, timeout=max(self._ends - time.monotonic(), 0.001))
            except subprocess.TimeoutExpired:
                return Answered(why=self._silent(), silent=True)
            finally:
                process.kill()
                _running.discard(process)
        if process.returncode:
            return self._refused(complaint, absent_is_empty=body is None)
        try:
            content = json.loads(said)
        except ValueError:
            return Answered(why="the answer is not JSON")
        return Answered(content if isinstance(content, dict) else {})

    def _refused(self, said: str, *, absent_is_empty: bool) -> Answered:
        if "(NotFound)" in said and absent_is_empty:
            return Answered()
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        why = lines[-1][:WHY_CHARS_MAX] if lines else "kubectl failed without a word"
        silent = any(word in why for word in TIME_OUTS)
        return Answered(why=self._silent() if silent else why, silent=silent)

    def _silent(self) -> str:
        return f"API server silent for {self.budget_s:.1f} s (this alone moves no calls)"


def chosen(config: Mapping[str, Any], *, context: str) -> str:
    """The context to begin with: the one named, else the current one."""
    name = context or str(config.get("current-context") or "")
    if not name:
        raise Failure(
            "the kubeconfig has no current context",
            next_command="kubectl config get-contexts",
            status=ExitStatus.USAGE,
        )
    return name


def contexts(config: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each["name"]) for each in config.get("contexts") or ())


def namespace(config: Mapping[str, Any], context: str) -> str:
    """The namespace of a context, as kubectl takes it."""
    entries = {str(each["name"]): each.get("context") or {} for each in config.get("contexts") or ()}
    return str(entries.get(context, {}).get("namespace") or "default")


def read(
    kubectl: Kubectl, sources: Iterable[Source], *, operator_namespace: str, agents_of: str = ""
) -> tuple[tuple[Cluster, ...], dict[str, str]]:
    """What each source shows, and why others show nothing.

    Decisions or agents that cannot be read leave the rest readable. `agents_of`: a namespace, if agents matter.
    """
    wanted = tuple(sources)
    agents_path = f"{API}/namespaces/{agents_of}/voiceagents"
    decisions_path = f"/api/v1/namespaces/{operator_namespace}/configmaps/{audit.STORE}"
    paths = (REGIONS, POLICIES, decisions_path, *([agents_path] if agents_of else []))
    answers = iter(kubectl.get([(source.context, path) for source in wanted for path in paths]))
    clusters: list[Cluster] = []
    unread: dict[str, str] = {}
    for source in wanted:
        regions, policies, decisions, *agents = (next(answers) for _ in paths)
        data = decisions.content.get("data") or {}
        region = str(data.get(audit.REGION_FIELD) or source.region)
        if regions.why or policies.why:
            unread[region] = regions.why or policies.why
            continue
        if decisions.why:
            unread[f"the decisions kept in {region}"] = decisions.why
        trail = audit.decode(str(data.get(audit.RECORDS_FIELD, "")))
        if trail.unreadable:
            unread[f"{trail.unreadable} decisions kept in {region}"] = "the record is damaged"
        unread |= {f"the agents of {agents_of} in {region}": each.why for each in agents if each.why}
        found = tuple(item for each in agents for item in _items(each))
        clusters.append(Cluster(region, source.context, _items(regions), _items(policies), found, trail))
    return tuple(clusters), unread


def _items(answered: Answered) -> tuple[Object, ...]:
    return tuple(answered.content.get("items") or ())
