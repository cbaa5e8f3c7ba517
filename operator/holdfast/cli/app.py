"""The command line. Everything that a command needs is imported when it runs, so that help is there at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import click

from holdfast.cli.exits import PROGRAM, ExitStatus, Failure
from holdfast.cli.options import DURATION, Options, shared

VARIABLE = "_HOLDFAST_COMPLETE"  # in which a shell asks for completions
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=HELP)
@shared
def cli(options: Options) -> None:
    """Holdfast keeps voice agents answering. This shows what it sees, decides and refuses.

    \b
    Examples:
      kubectl holdfast status
      kubectl holdfast explain fra
    """


@cli.command(no_args_is_help=True, short_help="Why something is as it is, now or earlier.")
@click.argument("words", nargs=-1, required=True, metavar="[KIND] NAME")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Default: text.")
@click.option("--at", default="", metavar="TIME", help="From the record, as of 2026-11-21T14:05:00Z, or of 10m ago.")
@shared
def explain(words: Sequence[str], output: str, at: str, options: Options) -> ExitStatus:
    """Why a region, lever, agent, carrier or zone is as it is: who saw what, what was decided, which guard refused
    what, and what would have to change.

    \b
    Examples:
      kubectl holdfast explain fra
      kubectl holdfast explain lever edge
      kubectl holdfast explain clinic/front-desk -o json
      kubectl holdfast explain fra --at 10m
    """
    from holdfast.cli import explain as command  # noqa: PLC0415 - see the module's docstring

    return command.run(words, at=at, output=output, options=options)


@cli.command(short_help="How the fleet stands, on one screen.")
@click.argument("policy", default="")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Default: text.")
@click.option("-w", "--watch", is_flag=True, help="Look every 2 s; with -o json one line for each change.")
@click.option("--until", type=click.Choice(["healthy", "drained", "cordoned"]), help="Watch until it is so.")
@click.option("--timeout", "timeout_s", type=DURATION, metavar="TIME", help="How long to watch; 5 is the exit status.")
@shared
def status(
    policy: str, output: str, watch: bool, until: str | None, timeout_s: float | None, options: Options
) -> ExitStatus:
    """Whether calls are answered: zones, regions, levers, the last decision, and what to type next.

    All clusters are asked at once, none longer than the budget; one that is silent is shown by what the others know.
    The exit status is 0 when all is well and 1 when it is not.

    \b
    Examples:
      kubectl holdfast status
      kubectl holdfast status eu -o json
      kubectl holdfast status --until healthy --timeout 60s
    """
    from holdfast.cli import status as command  # noqa: PLC0415 - see the module's docstring

    if watch or until or timeout_s is not None:
        return command.run_watching(options, policy=policy, output=output, until=until or "", timeout_s=timeout_s)
    return command.run(options, policy=policy, output=output)


@cli.command(short_help="How many calls each region, agent and pod carries.")
@click.argument("region", default="")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Default: text.")
@shared
def calls(region: str, output: str, options: Options) -> ExitStatus:
    """How many calls each region, agent and pod carries now. No call and no number is named.

    \b
    Examples:
      kubectl holdfast calls
      kubectl holdfast calls fra -o json
    """
    from holdfast.cli import calls as command  # noqa: PLC0415 - see the module's docstring

    return command.run(options, region=region, output=output)


@cli.command(short_help="How long each region waits for what a call depends on.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Default: text.")
@shared
def latency(output: str, options: Options) -> ExitStatus:
    """How long each region's operator waits for entries, providers, TURN relays and carriers, and how clocks differ.

    \b
    Examples:
      kubectl holdfast latency
      kubectl holdfast latency -o json
    """
    from holdfast.cli import latency as command  # noqa: PLC0415 - see the module's docstring

    return command.run(options, output=output)


@cli.command(short_help="Whether everything is as it must be, and what to mend.")
@click.option("--pre", is_flag=True, help="Before Holdfast is installed, in the clusters of --contexts.")
@click.option("--network", is_flag=True, help="Ask every public name from here, too.")
@click.option("-o", "--output", type=click.Choice(["text", "short", "json"]), default="text", help="Default: text.")
@shared
def doctor(pre: bool, network: bool, output: str, options: Options) -> ExitStatus:
    """Whether everything is as it must be: a list of claims, each with a stable code and a place to read on.

    It reads all clusters once and changes nothing. Warnings do not change the exit status.

    \b
    Examples:
      kubectl holdfast doctor
      kubectl holdfast doctor -o short
    """
    from holdfast.cli import doctor as command  # noqa: PLC0415 - see the module's docstring

    return command.run(options, pre=pre, network=network, output=output)


def _acting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of every command that changes something."""
    for flag in (
        click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Default: text."),
        click.option("--error-unchanged", is_flag=True, help="Leave with 3 when it stands already."),
        click.option("--timeout", "timeout_s", type=DURATION, metavar="TIME", help="How long --wait waits."),
        click.option("--wait", is_flag=True, help="Until the fleet has done it, or a guard refuses (status 4)."),
        click.option("--dry-run", is_flag=True, help="Show what would follow and what the guards answer."),
    ):
        command = flag(command)
    return command


def _ordering(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of an order that ends by itself."""
    for flag in (
        click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal."),
        click.option("--reason", required=True, metavar="WORDS", help="Why, for whoever is woken by it."),
        click.option("--for", "length_s", required=True, type=DURATION, metavar="TIME", help="30s, 30m, 2h, 1d."),
    ):
        command = flag(command)
    return command


@cli.command(short_help="Send no new calls to a region, for a time.")
@click.argument("region")
@_ordering
@_acting
@shared
def cordon(region: str, length_s: float, reason: str, options: Options, **how: Any) -> ExitStatus:
    """Send no new calls to a region, for a time. Calls in flight stay where they are.

    It is written into the Region of any one cluster that can be reached; all operators hear of it within a second
    or two. It ends by itself.

    \b
    Examples:
      kubectl holdfast cordon fra --for 30m --reason "kernel update" --dry-run
      kubectl holdfast cordon fra --for 30m --reason "kernel update"
    """
    from holdfast.cli import orders as command  # noqa: PLC0415 - see the module's docstring

    return command.run("cordon", region, length_s=length_s, reason=reason, how=command.How(**how), options=options)


@cli.command(short_help="A cordon, and calls in flight are handed over.")
@click.argument("region")
@_ordering
@_acting
@shared
def drain(region: str, length_s: float, reason: str, options: Options, **how: Any) -> ExitStatus:
    """Send no new calls to a region, for a time, and hand the calls in flight over to the others.

    \b
    Examples:
      kubectl holdfast drain fra --for 2h --reason "rack is moved" --dry-run
      kubectl holdfast drain fra --for 2h --reason "rack is moved"
    """
    from holdfast.cli import orders as command  # noqa: PLC0415 - see the module's docstring

    return command.run("drain", region, length_s=length_s, reason=reason, how=command.How(**how), options=options)


@cli.command(short_help="Take a cordon or a drain back.")
@click.argument("region")
@_acting
@shared
def uncordon(region: str, options: Options, **how: Any) -> ExitStatus:
    """Take a person's cordon or drain back, in every cluster in which it stands. What the fleet found itself stays.

    \b
    Examples:
      kubectl holdfast uncordon fra
      kubectl holdfast uncordon fra --dry-run
    """
    from holdfast.cli import orders as command  # noqa: PLC0415 - see the module's docstring

    return command.run("uncordon", region, how=command.How(**how), options=options)


@cli.command(short_help="What a shell loads to complete our words.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@shared
def completion(shell: str, options: Options) -> None:
    """What a shell loads to complete the words of holdfast and kubectl-holdfast.

    \b
    Examples:
      holdfast completion zsh
      holdfast completion fish
    """
    from holdfast.cli import completion as command  # noqa: PLC0415 - see the module's docstring

    for program in ("holdfast", "kubectl-holdfast"):
        options.out.write(command.script(shell, program=program) + "\n")


@cli.command()
@shared
def version(options: Options) -> None:
    """The version of this plugin.

    \b
    Examples:
      kubectl holdfast version
      holdfast version
    """
    from importlib import metadata  # noqa: PLC0415 - see the module's docstring

    options.out.write(f"holdfast {metadata.version('holdfast')}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; answers the exit status. Nothing but an answer goes to standard output."""
    name = PROGRAM if os.path.basename(sys.argv[0]).startswith("kubectl-") else "holdfast"
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        answered = cli.main(words, prog_name=name, standalone_mode=False, complete_var=VARIABLE)
        sys.stdout.flush()
        return int(answered or ExitStatus.DONE)
    except click.exceptions.NoArgsIsHelpError as e:
        click.echo(e.ctx.get_help() if e.ctx else "", err=True)
        return ExitStatus.USAGE
    except click.UsageError as e:
        where = e.ctx.command_path if e.ctx else name
        return _said(e.format_message(), f"{where} -h", ExitStatus.USAGE)
    except Failure as e:
        return _said(str(e), e.next_command.replace(PROGRAM, name), e.status)
    except (KeyboardInterrupt, click.Abort):
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has had enough; the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FAILED
    except Exception as e:
        if "-v" in words or "--verbose" in words:
            sys.excepthook(type(e), e, e.__traceback__)
        return _said(f"unexpected: {type(e).__name__}: {e}", f"{name} {' '.join(words)} -v", ExitStatus.FAILED)


def _said(message: str, next_command: str, status: ExitStatus) -> int:
    """The one shape of a failure, on standard error, with the most important at its end."""
    click.echo(f"error: {message}\nnext: {next_command}", err=True)
    return int(status)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Ctrl-C, which need not have reached the programs that were started."""
    clusters = sys.modules.get("holdfast.cli.clusters")
    if clusters is not None:
        clusters.end_all()
    signal.default_int_handler(number, frame)


def run() -> None:
    """The entry point of both scripts."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # A shell may have us started deaf to it.
        signal.signal(signal.SIGINT, _interrupted)
    sys.exit(main())
