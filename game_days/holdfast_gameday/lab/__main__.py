"""The lab's command line: python -m holdfast_gameday.lab up|down|status|tools|images|kill|blackhole|heal|cut|uncut.

It prints one line per phase and no escape codes; Ctrl-C during `up` takes down what was made.
"""

import argparse
import asyncio
import sys

from holdfast_gameday.lab import names, range_of_clusters
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.lab.phases import Phases


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m holdfast_gameday.lab", description="Three real clusters on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the three clusters, or say that they run")
    up.add_argument("--empty", action="store_true", help="without the project's images")
    commands.add_parser("down", help="remove everything, also what an interrupted start left")
    commands.add_parser("status", help="say whether each region is Ready")
    commands.add_parser("tools", help="build and install the lab's programs")
    commands.add_parser("images", help="build the project's images; load them where a lab runs")
    for name, text in (("kill", "sockets of the region close at once"), ("blackhole", "the region falls silent"),
                       ("heal", "start the region again on its data")):
        commands.add_parser(name, help=text).add_argument("region", choices=sorted(names.REGIONS))
    for name, text in (("cut", "drop everything between two sides"), ("uncut", "join them again")):
        pair = commands.add_parser(name, help=text)
        pair.add_argument("a")
        pair.add_argument("b")
    return parser


async def _run(arguments: argparse.Namespace) -> int:
    phases = Phases()
    if arguments.command == "tools":
        await range_of_clusters.tools(phases)
        return 0
    lab = await range_of_clusters.Lab.choose(phases)
    match arguments.command:
        case "up":
            await lab.up(empty=arguments.empty)
            phases.say(f"  kubectl: {lab.kubectl_path} --context fra get nodes")
        case "down":
            await lab.down()
        case "images":
            await lab.load_images()
        case "status":
            ready = {region: await lab.ready(region) for region in names.REGIONS}
            for region, yes in ready.items():
                print(f"{region} {'Ready' if yes else 'not ready'}")
            return 0 if all(ready.values()) else 1
        case "kill" | "blackhole" | "heal" as fault:
            with phases.phase(f"{fault} {arguments.region}"):
                await getattr(lab, fault)(arguments.region)
        case "cut" | "uncut" as fault:
            with phases.phase(f"{fault} {arguments.a} {arguments.b}"):
                await (lab.cut if fault == "cut" else lab.heal_cut)(arguments.a, arguments.b)
    return 0


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return asyncio.run(_run(arguments))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
