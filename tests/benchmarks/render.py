"""The outcomes of a benchmark as a table for people, a short Markdown table for the README, and a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from generate import IMAGES
from results import OWN, PEERS, Outcome, Result, Verdict

_NOTE = """seconds: wall time of the whole process (F and R: their loop alone), median of the runs after a warm-up, the
tools in turn; ratio: the tool's seconds in bboxconv's; MB: peak of the PSS of all processes of a run together,
sampled from smaps_rollup, the highest of the runs. Targets are stated from size 1 (118,287 images) on, and for 100
images: between the two the start of the processes weighs more."""


def size_name(size: float) -> str:
    """1/16, 1, 4; an odd size as a number of images; nothing for a comparison without data."""
    if not size:
        return "-"
    fraction = Fraction(size).limit_denominator(64)
    return str(fraction) if math.isclose(fraction, size) else f"{round(size * IMAGES)} images"


def table(outcomes: Iterable[Outcome]) -> str:
    """Each comparison: the tools with their figures, then the targets; a count of the targets at the end."""
    lines = [_NOTE, "", f"{'comparison':<38} {'tool':<22} {'seconds':>9} {'ratio':>7} {'MB':>7}  note"]
    verdicts: list[tuple[Outcome, Verdict]] = []
    for outcome in outcomes:
        title = f"{outcome.title} [{size_name(outcome.size)}]" if outcome.size > 0.01 else outcome.title
        own = outcome.result(OWN)
        for result in outcome.results:
            lines.append(f"{title:<38} {_figures(result, own)}".rstrip())
            title = ""
        if not outcome.results:
            lines.append(f"{title:<38} {outcome.note}")
        for verdict in outcome.verdicts:
            lines.append(f"{'':<38} target {verdict.target:<40} {verdict.found:<14} {_word(verdict)}")
        verdicts += [(outcome, verdict) for verdict in outcome.verdicts]
    counts = [f"{sum(_word(one) == word for _, one in verdicts)} {word}" for word in ("met", "missed", "not known")]
    lines += ["", "targets: " + ", ".join(counts)]
    lines += [
        f"  missed: {outcome.title} [{size_name(outcome.size)}]: {verdict.target}; found {verdict.found}"
        for outcome, verdict in verdicts
        if verdict.met is False
    ]
    return "\n".join(lines)


def _word(verdict: Verdict) -> str:
    return {True: "met", False: "missed", None: "not known"}[verdict.met]


def _figures(result: Result, own: Result | None) -> str:
    seconds, megabytes = result.figure("seconds"), result.figure("megabytes")
    if seconds is None:
        return f"{result.tool:<22} {'-':>9} {'-':>7} {'-':>7}  {result.note}"
    base = own.figure("seconds") if own else None
    ratio = f"{seconds / base:.2f}" if base else "-"
    memory = "-" if megabytes is None else f"{megabytes:.0f}"
    return f"{result.tool:<22} {seconds:>9.3f} {ratio:>7} {memory:>7}  {result.note}"


def readme(outcomes: Sequence[Outcome]) -> str:
    """Markdown: each conversion at size 1, else at the largest size measured, with the fastest peer."""
    chosen: dict[str, Outcome] = {}
    for outcome in outcomes:
        old = chosen.get(outcome.title)
        if outcome.results and 0.01 < outcome.size <= 1 and (old is None or outcome.size > old.size):
            chosen[outcome.title] = outcome
    lines = [
        "| conversion | images | bboxconv | fastest peer | factor |",
        "|---|--:|--:|--:|--:|",
    ]
    for outcome in chosen.values():
        own, peer = outcome.result(OWN), fastest_peer(outcome)
        if own is None or not own.runs:
            continue
        name, factor = "-", "-"
        if peer is not None:
            name = f"{peer.tool} {_short(peer)}"
            factor = f"{(peer.figure('seconds') or 0) / (own.figure('seconds') or 1):.1f}"
        lines.append(f"| {outcome.title} | {round(outcome.size * IMAGES):,} | {_short(own)} | {name} | {factor} |")
    return "\n".join(lines)


def fastest_peer(outcome: Outcome) -> Result | None:
    peers = [one for one in outcome.results if one.tool in PEERS and one.runs]
    return min(peers, key=lambda one: one.figure("seconds") or math.inf, default=None)


def _short(result: Result) -> str:
    megabytes = result.figure("megabytes")
    return f"{result.figure('seconds'):.1f} s" + ("" if megabytes is None else f", {megabytes:.0f} MB")
