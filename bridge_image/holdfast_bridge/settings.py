"""What this pod was told by its mounted files: agent.json, the zone's secrets and the tenant's provider keys.

It reads files and nothing else: no Kubernetes, no network, no decision. A missing provider key is not an error here but
a fact (`missing_keys`): the attempt is unusable, the others are not. So is an attempt that could not be opened as it is
written (`unfit`). Values of secrets never reach an error text.
Keys are text; white space around them is not part of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast_bridge.agent_config import AgentConfig, Attempt, decode_agent
from holdfast_bridge.errors import SettingsError

DIRECTORY = Path("/etc/holdfast")
FLEET_KEYS = (
    "zone-key",
    "zone-key-previous",
    "carrier-token",
    "carrier-token-previous",
    "carrier-api-key",
    "carrier-api-secret",
    "operator-token",
)
"""The files of `fleet/`, in the order in which the proof of them names them."""

@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSecrets:
    """Keys that the operator put beside the pod. The current one is first."""

    zone_keys: tuple[bytes, ...] = field(repr=False)
    carrier_tokens: tuple[str, ...] = field(repr=False)
    carrier_api_key: str = field(default="", repr=False)
    carrier_api_secret: str = field(default="", repr=False)
    operator_token: str = field(default="", repr=False)
    proof: str = field(default="", repr=False)
    """Shows the operator, who may not read its own Secret back, that this pod holds what was written; tells no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One consistent reading of all mounted files."""

    agent: AgentConfig
    fleet: FleetSecrets
    provider_keys: Mapping[str, str] = field(repr=False)
    ill: frozenset[str] = frozenset()
    """Attempts that are tried last, because the operator or this pod found a part of them ill. No file says so."""
    tool_secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """The signing secrets by tool, the current one first; empty where one is not there."""
    pod: str = ""
    pod_uid: str = ""
    unfit: tuple[str, ...] = ()
    """Why attempts that agent.json lists are not among `agent.attempts`, a sentence each."""

    def usable(self, attempt: Attempt) -> bool:
        return all(self.provider_keys.get(name) for name in attempt.key_files)

    @property
    def usable_attempts(self) -> tuple[Attempt, ...]:
        return tuple(attempt for attempt in self.agent.attempts if self.usable(attempt))

    @property
    def missing_keys(self) -> tuple[str, ...]:
        """Where each absent key was expected, as the tenant wrote it (a Secret and its key)."""
        absent = tuple(
            _source(attempt, name)
            for attempt in self.agent.attempts
            for name in attempt.key_files
            if not self.provider_keys.get(name)
        )
        return absent + tuple(
            source
            for tool in self.agent.tools
            for source, secret in zip(tool.signing_sources, self.tool_secrets.get(tool.name, ()), strict=False)
            if not secret
        )


def _source(attempt: Attempt, name: str) -> str:
    stage = attempt.stages.get(name)
    return (stage.key_source if stage is not None else attempt.key_source) or f"attempt {name}"


def load(directory: Path = DIRECTORY, *, pod: str = "", pod_uid: str = "") -> Settings:
    """Read everything anew; raises SettingsError naming the file and the field."""
    config = read_agent(directory / "agent.json")
    fleet = read_fleet(directory / "fleet")
    files = {name: file for attempt in config.attempts for name, file in attempt.key_files.items()}
    keys = {name: key for name, file in files.items() if file and (key := _text(Path(file)))}
    secrets = {tool.name: tuple(_text(Path(file)) or "" for file in tool.signing_files) for tool in config.tools}
    return Settings(
        agent=config, fleet=fleet, provider_keys=keys, tool_secrets=secrets, pod=pod, pod_uid=pod_uid
    )


def read_agent(path: Path) -> AgentConfig:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    return decode_agent(data, source=str(path))


def read_fleet(directory: Path) -> FleetSecrets:
    """Without a REST key calls still come and go; only the push of a drain and the clean hang-up are lost."""
    held = {name: _text(directory / name) or "" for name in FLEET_KEYS}
    zone_keys = _present(held["zone-key"], held["zone-key-previous"])
    tokens = _present(held["carrier-token"], held["carrier-token-previous"])
    if not zone_keys:
        raise SettingsError(f"{directory / 'zone-key'}: is missing or empty")
    if not tokens:
        raise SettingsError(f"{directory / 'carrier-token'}: is missing or empty")
    return FleetSecrets(
        zone_keys=tuple(key.encode() for key in zone_keys),
        carrier_tokens=tokens,
        carrier_api_key=held["carrier-api-key"],
        carrier_api_secret=held["carrier-api-secret"],
        operator_token=held["operator-token"],
        proof=_proof([held[name] for name in FLEET_KEYS]),
    )


def _proof(held: Sequence[str]) -> str:
    mac = hmac.new(held[0].encode(), f"fleet {json.dumps(held)}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as text") from error


def _present(*values: str) -> tuple[str, ...]:
    return tuple(value for value in values if value)


class SettingsFile:
    """The settings in force. `refresh` reads the files again; a change that cannot be meant is refused whole.

    `fit` is asked about changes only. It gives the settings without the attempts that could not be opened, and raises
    SettingsError if none is left, or for what else reads well and cannot be used. At the start there is nothing to fall
    back on, so the other attempts serve; later on the files in force are better than new ones with an unfit attempt.
    """

    def __init__(self, read: Callable[[], Settings], fit: Callable[[Settings], Settings] = lambda found: found) -> None:
        self._read = read
        self._fit = fit
        self._found = read()
        self._current = fit(self._found)
        self.problem: str = ""
        """Why the newest files are not in force, for the log and for the operator; empty when they are."""

    def __call__(self) -> Settings:
        return self._current

    def problems(self) -> tuple[str, ...]:
        """What of the newest files is not followed, a sentence each."""
        refused = (f"not in force: {self.problem}",) if self.problem else ()
        return (*(f"not tried: {why}" for why in self._current.unfit), *refused)

    def proof(self) -> str:
        """Of the newest files: empty while they cannot be taken over, though the old ones stay in force."""
        return "" if self.problem else self._current.fleet.proof

    def refresh(self) -> bool:
        """True when new settings are in force.

        The files are small, so they are read and compared, not stat-ed: a mounted volume swaps symbolic links, which
        time stamps describe badly.
        """
        try:
            if (found := self._read()) == self._found:
                self.problem = ""
                return False
            current = self._fit(found)
        except SettingsError as error:
            self.problem = str(error)
            return False
        self.problem = "; ".join(why for why in current.unfit if why not in self._current.unfit)
        if self.problem:
            return False
        self._found, self._current = found, current
        return True
