"""A scenario file as values: what is prepared, what breaks, what must hold.

It knows nothing of how calls are placed or regions are killed; the runner and the dry run read the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from holdfast_gameday.faults import LIVE, Kind


class ScenarioInvalid(Exception):
    """The file cannot be used; the message names the field and what is wrong with it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
AgentName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}/[a-z0-9-]{1,63}$", description="namespace/name")]


class AtLeast(_Part):
    region: Name
    count: Annotated[int, Field(ge=0, le=1000)]


class Calls(_Part):
    count: Annotated[int, Field(ge=1, le=1000)]
    at_least: AtLeast | None = None


class Bystanders(_Part):
    """Calls of another zone, which must not notice anything."""

    policy: Name
    agent: AgentName
    count: Annotated[int, Field(ge=1, le=100)]


def _live(word: object) -> object:
    """The word of a kind that a game day can do to real clusters; the vocabulary is that of the simulator."""
    if isinstance(word, Kind):
        return word
    kinds = {kind.word: kind for kind in LIVE}
    if word not in kinds:
        raise ValueError(f"{word!r} is none of {', '.join(kinds)}")
    return kinds[str(word)]


class Fault(_Part):
    kind: Annotated[Kind, BeforeValidator(_live), PlainSerializer(lambda kind: kind.word)]
    region: Name


class NewCalls(_Part):
    count: Annotated[int, Field(ge=0, le=100)]


class Expectations(_Part):
    dropped: Annotated[int, Field(ge=0)] = 0
    gap_p95_ms: Annotated[int, Field(gt=0)] = 4000
    read_back_seconds: Annotated[float, Field(gt=0)] = 10
    new_call_setup_seconds: Annotated[float, Field(gt=0)] = 11
    residency: Literal["held"] = "held"


class Scenario(_Part):
    title: Annotated[str, Field(min_length=1, max_length=200)]
    policy: Name
    agent: AgentName
    leader: Name | None = None
    calls: Calls
    bystanders: Bystanders | None = None
    steady_seconds: Annotated[float, Field(ge=0, le=600)]
    fault: Fault
    observe_seconds: Annotated[float, Field(ge=0, le=600)]
    new_calls: NewCalls = NewCalls(count=0)
    expect: Expectations = Expectations()

    @model_validator(mode="after")
    def _floor_fits(self) -> Scenario:
        if self.calls.at_least and self.calls.at_least.count > self.calls.count:
            raise ValueError("calls.atLeast.count is larger than calls.count")
        return self

    def with_calls(self, count: int) -> Scenario:
        """The same scenario with another number of calls; the share wanted on one region is kept."""
        floor = self.calls.at_least
        if floor is not None:
            floor = floor.model_copy(update={"count": max(1, round(floor.count * count / self.calls.count))})
        return self.model_copy(update={"calls": Calls(count=count, at_least=floor)})


class _File(_Part):
    api_version: Literal["gamedays.holdfast.dev/v1alpha1"]
    kind: Literal["Scenario"]
    metadata: dict[str, str]
    spec: Scenario


def load(path: Path) -> tuple[str, Scenario]:
    """The scenario's name and content. Raises ScenarioInvalid."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ScenarioInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ScenarioInvalid(f"{path}: is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ScenarioInvalid(f"{path}: {field}: {first['msg']}") from error
    return file.metadata.get("name", path.stem), file.spec
