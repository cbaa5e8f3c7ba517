"""`python -m holdfast_gameday run SCENARIO`: a game day on the lab; with --dry-run, the readiness of a real region."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from holdfast_gameday import report, scenario, timeline
from holdfast_gameday.result import GameDayResult
from holdfast_gameday.view import console

BUILD = Path("build")
INTERRUPTED = 130


def main(words: list[str] | None = None) -> int:
    options = _parser().parse_args(words)
    try:
        name, loaded = scenario.load(options.scenario)
    except scenario.ScenarioInvalid as error:
        print(error, file=sys.stderr)
        return 2
    if options.calls is not None:
        loaded = loaded.with_calls(options.calls)
    if options.dry_run:
        from holdfast_gameday import readiness  # noqa: PLC0415 - a region's image runs this without the lab

        return readiness.run(loaded)
    return _on_the_lab(name, loaded, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast_gameday", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="play a scenario")
    run.add_argument("scenario", type=Path)
    run.add_argument("--calls", type=_count, help="live calls when the fault strikes (default: the scenario's)")
    run.add_argument("--operators-off", action="store_true", help="scale every operator to 0 before the first call")
    run.add_argument("--json", type=Path, help="where the result goes (default: build/NAME.json)")
    run.add_argument("--html", type=Path, help="where the page goes (default: build/NAME.html)")
    run.add_argument("--svg", type=Path, help="where the picture alone goes (default: nowhere)")
    run.add_argument("--keep-lab", action="store_true", help="leave the clusters running afterwards")
    run.add_argument("--dry-run", action="store_true", help="judge readiness only, in the region this runs in")
    return parser


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= (value := int(text)) <= 1000:
        return value
    raise argparse.ArgumentTypeError(f"a whole number between 1 and 1000 is wanted, not {text!r}")


def _on_the_lab(name: str, loaded: scenario.Scenario, options: argparse.Namespace) -> int:
    from holdfast_gameday import runner  # noqa: PLC0415 - only here is the lab needed
    from holdfast_gameday.lab.commands import LabError  # noqa: PLC0415
    from holdfast_gameday.lab.phases import Phases  # noqa: PLC0415
    from holdfast_gameday.lab.range_of_clusters import Lab  # noqa: PLC0415

    out = console()

    async def play() -> GameDayResult:
        # SIGTERM ends the run as Ctrl-C does: the lab is taken down.
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        lab = await Lab.choose(Phases(out=sys.stdout))
        wanted = runner.Options(operators_off=options.operators_off, keep_lab=options.keep_lab)
        return await runner.run(name, loaded, lab, wanted, out)

    try:
        result = asyncio.run(play())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; the lab is down", file=sys.stderr)
        return INTERRUPTED
    except (LabError, TimeoutError, ExceptionGroup) as error:
        causes = [leaf for leaf in _leaves(error) if isinstance(leaf, LabError | TimeoutError)]
        if not causes:
            raise
        print(f"the game day could not be played: {causes[0] or 'a step was late'}", file=sys.stderr)
        return 1
    suffix = f"{name}-operators-off" if options.operators_off else name
    json_path = options.json or BUILD / f"{suffix}.json"
    html_path = options.html or BUILD / f"{suffix}.html"
    _write(json_path, result.model_dump_json(by_alias=True, indent=2))
    _write(html_path, report.page(result))
    if options.svg:
        _write(options.svg, timeline.svg(result) + "\n")
    out.print()
    report.write_table(result, out)
    wire = runner.CONNECTIONS
    out.print(f"result: {json_path}\npage:   {html_path}\nwire:   {wire}", markup=False, soft_wrap=True)
    out.print(f"next: open {html_path}, or make lab-up to look around", markup=False, soft_wrap=True)
    return report.EXIT_STATUS[result.outcome]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What went wrong, out of the groups in which parallel steps report it."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


if __name__ == "__main__":
    sys.exit(main())
