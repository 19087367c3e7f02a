"""Time and memory against data size as an SVG, both axes logarithmic, one line a tool; legible on light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from generate import IMAGES
from results import OWN, PEERS, Measure, Outcome

_COLORS = {
    OWN: "#d9480f",
    "panlabel": "#2b8a9e",
    "labelformat": "#7a5fd0",
    "globox": "#4c9a2a",
    "datumaro": "#b8860b",
    "supervision": "#c2418c",
}
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _GAP = 250, 240, 62, 44, 96, 13
_STYLE = """text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600}
.grid{stroke:#8b949e;stroke-opacity:.3}.line{fill:none;stroke-width:2}.own{stroke-width:3.5}
@media(prefers-color-scheme:dark){text{fill:#a5adb6}}"""

Points = dict[str, list[tuple[float, float]]]


def draw(outcomes: Sequence[Outcome], title: str = "COCO to YOLO") -> str:
    """The SVG of one conversion, "" where nothing was measured."""
    panels = [
        _panel(_points(outcomes, title, measure), 0 if measure == "seconds" else 1, label)
        for measure, label in (("seconds", f"{title}: seconds"), ("megabytes", "peak memory, MB"))
    ]
    if not all(panels):
        return ""
    width, height = 2 * (_LEFT + _WIDTH + _RIGHT), _TOP + _HEIGHT + 50
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join(
        [head, f"<title>{escape(title)}: time and memory</title><style>{_STYLE}</style>", *panels, "</svg>\n"]
    )


def _points(outcomes: Sequence[Outcome], title: str, measure: Measure) -> Points:
    points: Points = {}
    for outcome in sorted(outcomes, key=lambda one: one.size):
        if outcome.title != title:
            continue
        for result in outcome.results:
            figure = result.figure(measure)
            if figure and result.tool in (OWN, *PEERS):
                points.setdefault(result.tool, []).append((outcome.size * IMAGES, figure))
    return points


def _panel(points: Points, place: int, label: str) -> str:
    if not points:
        return ""
    xs = sorted({x for line in points.values() for x, _ in line})
    ys = [y for line in points.values() for _, y in line]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)) + 1e-9)
    left, right = math.log10(xs[0]) - 0.1, math.log10(xs[-1]) + 0.1
    origin = place * (_LEFT + _WIDTH + _RIGHT) + _LEFT

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / (right - left)
        return origin + across * _WIDTH, _TOP + (high - math.log10(y)) / (high - low) * _HEIGHT

    parts = [f'<text class="title" x="{origin}" y="{_TOP - 18}">{escape(label)}</text>']
    for power in range(low, high + 1):
        y = at(xs[0], 10**power)[1]
        parts.append(f'<path class="grid" d="M{origin} {y:.1f}h{_WIDTH}"/>')
        parts.append(f'<text x="{origin - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    for number in xs:
        x = at(number, 10**low)[0]
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}v{_HEIGHT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{round(number):,}</text>')
    parts.append(f'<text x="{origin + _WIDTH / 2}" y="{_TOP + _HEIGHT + 38}" text-anchor="middle">images</text>')
    ends = []
    for tool, line in points.items():
        places = [at(x, y) for x, y in line]
        color, own = _COLORS[tool], " own" if tool == OWN else ""
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line{own}" stroke="{color}" d="M{path}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in places]
        ends.append((places[-1], tool))
    return "\n".join(parts + _labels(ends, origin + _WIDTH))


def _labels(ends: list[tuple[tuple[float, float], str]], edge: float) -> list[str]:
    """The names of the tools at the right edge, moved apart, each with a thin line to the end of its own."""
    parts, below = [], -math.inf
    for (x, y), tool in sorted(ends, key=lambda end: end[0][1]):
        below = max(y, below + _GAP)
        color = _COLORS[tool]
        parts.append(
            f'<path d="M{x:.1f} {y:.1f}L{edge + 8} {below:.1f}" stroke="{color}" stroke-dasharray="2 3" fill="none"/>'
        )
        parts.append(f'<text x="{edge + 12}" y="{below + 4:.1f}" style="fill:{color}">{tool}</text>')
    return parts
