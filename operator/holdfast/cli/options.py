"""The options that every command takes, before or after its name."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import click
from click.core import ParameterSource

from holdfast.cli.exits import PROGRAM

LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, None: 1.0}


@dataclass(frozen=True, slots=True)
class Options:
    """How clusters are reached and how answers look."""

    context: str = ""
    contexts: tuple[str, ...] = ()
    kubeconfig: str = ""
    namespace: str = ""
    operator_namespace: str = "holdfast-system"
    budget_s: float | None = None
    color: str = "auto"
    verbose: bool = False
    program: str = PROGRAM
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    out: IO[str] = field(default_factory=lambda: sys.stdout)

    def within(self, usual_s: float) -> float:
        """How long all clusters together may take: what was asked for, else what is usual for the command."""
        return usual_s if self.budget_s is None else self.budget_s


class _Duration(click.ParamType[float]):
    """A duration as kubectl takes it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = LENGTH.fullmatch(str(value))
        if found is None or float(found[1]) == 0:
            self.fail(f"{value} is not a duration such as 2s or 500ms", param, ctx)
        return float(found[1]) * UNITS_S[found[2]]


DURATION = _Duration()


class _Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "names"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(filter(None, str(value).split(",")))


_SHARED = (
    click.option("--context", metavar="NAME", help="The kubeconfig context to begin with (default: the current one)."),
    click.option(
        "--contexts", type=_Names(), metavar="A,B", envvar="HOLDFAST_CONTEXTS", show_envvar=True,
        help="The contexts to read, one a region (default: those named as a Region).",
    ),
    click.option("--kubeconfig", metavar="FILE", help="As kubectl takes it."),
    click.option("-n", "--namespace", metavar="NAME", help="Where agents are looked for (default: the context's)."),
    click.option(
        "--operator-namespace", metavar="NAME", envvar="HOLDFAST_NAMESPACE", show_envvar=True,
        help="Where the operator runs (default: holdfast-system).",
    ),
    click.option(
        "--request-timeout", "budget_s", type=DURATION, metavar="TIME",
        help="For all clusters together, which are asked at once (default: 2s; doctor: 10s).",
    ),
    click.option("--color", type=click.Choice(["auto", "always", "never"]), help="Default: auto."),
    click.option("-v", "--verbose", is_flag=True, default=None, help="Show all, and traces of unexpected errors."),
)  # fmt: skip


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command, which gets one `options`; what is said after a command's name wins."""

    @functools.wraps(command)
    def with_options(**told: Any) -> Any:
        context = click.get_current_context()
        before = dict(context.obj or {})
        for name in _NAMES:
            value = told.pop(name)
            # What the environment says does not win over a flag that was given before the command's name.
            from_environment = context.get_parameter_source(name) is ParameterSource.ENVIRONMENT
            if value is not None and not (from_environment and name in before):
                before[name] = value
        context.obj = before
        return command(options=Options(program=str(context.find_root().info_name), **before), **told)

    for option in reversed(_SHARED):
        with_options = option(with_options)
    return with_options


_NAMES = ("context", "contexts", "kubeconfig", "namespace", "operator_namespace", "budget_s", "color", "verbose")
