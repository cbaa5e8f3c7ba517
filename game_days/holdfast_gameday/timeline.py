"""The picture of a game day: each call a line in the colour and height of the region that carries it, as inline SVG.

Pure: a result in, SVG text out. Region is told by position, label and colour, in that order, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from holdfast_gameday.result import CallResult, GameDayResult

Scale = Callable[[float], float]

WIDTH = 1000
LEFT = 150
RIGHT = 20
TOP = 46
LANE = 18
GROUP_GAP = 34
# Okabe and Ito's palette: told apart by people with any of the common colour-vision deficiencies.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
DARK = {"#0072B2", "#009E73", "#D55E00"}


def svg(result: GameDayResult) -> str:
    """The timeline of all calls, from ten seconds before the fault to the last moment seen."""
    calls = sorted(result.calls, key=_order)
    end = max([stay.end for call in calls for stay in call.stays] + [moment.at for moment in result.moments] + [5.0])
    start = max(min([stay.start for call in calls for stay in call.stays] + [0.0]), -10.0)
    colours = _colours(result)

    def x(at: float) -> float:
        at = min(max(at, start), end)
        return LEFT + (at - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    lines: list[str] = []
    y = TOP + 10
    for call in calls:
        lines.append(_lane(call, y, x, colours))
        y += LANE
    height = y + GROUP_GAP + 14 * len(_named(result))
    body = [*_axis(start, end, y, x), *_fault(result, y, x), *lines, *_moments(result, y, x), *_legend(colours)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(result.title)}: the region of every call over time" '
        f'font-family="system-ui, sans-serif" font-size="11">'
        # A page may be dark; the picture brings its own ground.
        f'<rect width="{WIDTH}" height="{height}" fill="#fff" data-ground="1"/>' + "".join(body) + "</svg>"
    )


def _order(call: CallResult) -> tuple[bool, bool, bool, int]:
    return call.bystander, call.placed_after_fault, not call.moved, call.number


def _colours(result: GameDayResult) -> dict[str, str]:
    regions = sorted({stay.region for call in result.calls for stay in call.stays})
    if result.fault_region in regions:
        regions.remove(result.fault_region)
        regions.insert(0, result.fault_region)
    return {region: COLOURS[index % len(COLOURS)] for index, region in enumerate(regions)}


def _lane(call: CallResult, y: float, x: Scale, colours: dict[str, str]) -> str:
    kind = "bystander" if call.bystander else "new call" if call.placed_after_fault else "call"
    parts = [f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#444">{kind} {call.number}</text>']
    for stay in call.stays:
        left, right = x(stay.start), x(stay.end)
        parts.append(
            f'<rect x="{left:.1f}" y="{y - 4}" width="{max(right - left, 1):.1f}" height="9" rx="2" '
            f'fill="{colours[stay.region]}"><title>{kind} {call.number}: {escape(stay.region)} '
            f"{stay.start:.1f} s to {stay.end:.1f} s</title></rect>"
        )
        if right - left > 34:
            ink = "#fff" if colours[stay.region] in DARK else "#111"
            label = escape(stay.region)
            parts.append(f'<text x="{left + 5:.1f}" y="{y + 4}" fill="{ink}" font-size="9">{label}</text>')
    if call.handover_ms is not None and call.handover_start is not None:
        left, right = x(call.handover_start), x(call.handover_start + call.handover_ms / 1000)
        parts.append(
            f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y + 7}" y2="{y + 7}" stroke="#b00020" stroke-width="2">'
            f"<title>silence of {call.handover_ms:.0f} ms</title></line>"
        )
    if not call.survived:
        parts.append(f'<text x="{WIDTH - RIGHT - 2}" y="{y + 4}" text-anchor="end" fill="#b00020">✗ lost</text>')
    return "".join(parts)


def _axis(start: float, end: float, bottom: float, x: Scale) -> list[str]:
    step = next(step for step in (1, 2, 5, 10, 20, 60, 120, 600) if (end - start) / step <= 16 or step == 600)
    parts = []
    tick = -(-int(start) // step) * step
    while tick <= end:
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 4}" y2="{bottom}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{TOP - 10}" text-anchor="middle" fill="#666">{tick} s</text>')
        tick += step
    return parts


def _fault(result: GameDayResult, bottom: float, x: Scale) -> list[str]:
    at = x(0.0)
    what = escape(f"{result.fault} {result.fault_region}")
    return [
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{bottom}" stroke="#b00020" stroke-width="1.5"/>',
        f'<text x="{at + 4:.1f}" y="{bottom + 12}" fill="#b00020">✗ {what}</text>',
    ]


def _named(result: GameDayResult) -> list[tuple[str, float]]:
    named = [
        ("detected", result.detected_seconds),
        ("decided", result.decided_seconds),
        ("read back", result.read_back_seconds),
        ("first new call elsewhere", result.first_new_call_seconds),
    ]
    return [(name, at) for name, at in named if at is not None]


def _moments(result: GameDayResult, bottom: float, x: Scale) -> list[str]:
    parts = []
    for row, (name, at) in enumerate(_named(result), start=1):
        y = bottom + 12 + 14 * row
        parts.append(
            f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP - 4}" y2="{y - 8}" stroke="#666" '
            f'stroke-dasharray="3 3"/><text x="{x(at) + 4:.1f}" y="{y}" fill="#333">{name} {at:.1f} s</text>'
        )
    return parts


def _legend(colours: dict[str, str]) -> list[str]:
    parts = []
    for index, (region, colour) in enumerate(colours.items()):
        left = LEFT + index * 90
        parts.append(
            f'<rect x="{left}" y="6" width="18" height="9" rx="2" fill="{colour}"/>'
            f'<text x="{left + 23}" y="14" fill="#333">{escape(region)}</text>'
        )
    left = LEFT + len(colours) * 90
    parts.append(
        f'<line x1="{left}" x2="{left + 18}" y1="11" y2="11" stroke="#b00020" stroke-width="2"/>'
        f'<text x="{left + 23}" y="14" fill="#333">silence at the hand-over</text>'
    )
    return parts
