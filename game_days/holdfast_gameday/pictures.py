"""Plots as SVG text: curves of shares over time, bars, and rows where names are long. Readable on any page colour."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 44, 46
NAMES, ROW = 200, 30
COLOURS = ("#3366cc", "#dc7633", "#2e9e6b", "#a64ca6", "#c0392b")
GRAY = "#808080"


def curves(times: Mapping[str, list[float]], *, title: str) -> str:
    """For each name, the share of its times that are at most x. `times` are sorted."""
    longest = max((max(each) for each in times.values() if each), default=1.0)
    end = 5.0 * (int(longest / 5.0) + 1)
    drawn = [_axes(title, "seconds", [f"{end * part / 5:.0f}" for part in range(6)], ["0", "50 %", "100 %"])]
    for index, (name, each) in enumerate(times.items()):
        colour = COLOURS[index % len(COLOURS)]
        points = [(0.0, 0.0)]
        for rank, time in enumerate(each, start=1):
            points += [(time, points[-1][1]), (time, rank / len(each))]
        points.append((end, 1.0))
        path = " ".join(f"{_x(x / end):.1f},{_y(y):.1f}" for x, y in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(_label(index, f"{name} ({len(each)})", colour))
    return _svg(drawn, title)


def bars(values: Mapping[str, float], *, title: str) -> str:
    highest = max([*values.values(), 1.0])
    top = _round_up(highest)
    drawn = [_axes(title, "regions of the fleet", [], ["0", f"{top / 2:.0f}", f"{top:.0f}"])]
    step = 1.0 / max(len(values), 1)
    for index, (name, value) in enumerate(values.items()):
        left, right = _x((index + 0.2) * step), _x((index + 0.8) * step)
        height = _y(0.0) - _y(value / top)
        colour = COLOURS[index % len(COLOURS)]
        place = f'x="{left:.1f}" y="{_y(value / top):.1f}" width="{right - left:.1f}" height="{height:.1f}"'
        drawn.append(f'<rect {place} fill="{colour}"/>')
        middle = (left + right) / 2
        drawn.append(_text(middle, _y(value / top) - 6, f"{value:.0f}", anchor="middle"))
        drawn.append(_text(middle, HEIGHT - BOTTOM + 16, name, anchor="middle"))
    return _svg(drawn, title)


def rows(values: Mapping[str, float], *, title: str, marked: Collection[str] = ()) -> str:
    """One bar below another, each with its name to the left and its value behind it; those marked in a colour."""
    widest = max([*values.values(), 1.0])
    drawn = [_text(LEFT, 24, title, size=15)]
    for index, (name, value) in enumerate(values.items()):
        top, length = TOP + index * ROW, value / widest * (WIDTH - NAMES - LEFT)
        place = f'x="{NAMES}" y="{top}" width="{length:.1f}" height="{ROW - 8}"'
        drawn.append(_text(NAMES - 8, top + 15, name, anchor="end"))
        drawn.append(f'<rect {place} fill="{COLOURS[0] if name in marked else GRAY}"/>')
        drawn.append(_text(NAMES + length + 6, top + 15, f"{value:.0f}"))
    return _svg(drawn, title, height=TOP + len(values) * ROW + 8)


def _axes(title: str, below: str, along: list[str], up: list[str]) -> str:
    parts = [_text(LEFT, 24, title, size=15)]
    for place, mark in enumerate(up):
        y = _y(place / (len(up) - 1))
        ends = f'x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"'
        parts.append(f'<line {ends} stroke="{GRAY}" stroke-opacity="0.4"/>')
        parts.append(_text(LEFT - 8, y + 4, mark, anchor="end"))
    for place, mark in enumerate(along):
        parts.append(_text(_x(place / (len(along) - 1)), HEIGHT - BOTTOM + 16, mark, anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, below, anchor="middle"))
    return "\n".join(parts)


def _label(index: int, words: str, colour: str) -> str:
    x, y = WIDTH - RIGHT + 16, TOP + 16 + 22 * index
    line = f'<line x1="{x}" y1="{y - 4}" x2="{x + 18}" y2="{y - 4}" stroke="{colour}" stroke-width="3"/>'
    return line + _text(x + 24, y, words)


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-family="sans-serif" fill="{GRAY}">{escape(words)}</text>'
    )


def _svg(drawn: list[str], title: str, *, height: int = HEIGHT) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", *drawn, "</svg>"]) + "\n"


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _round_up(value: float) -> float:
    """To one figure of 1, 2 or 5 and zeros."""
    power = 1.0
    while True:
        for figure in (1.0, 2.0, 5.0):
            if figure * power >= value:
                return figure * power
        power *= 10.0
