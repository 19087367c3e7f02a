"""What a benchmark run finds: comparisons, what each tool took in each run, and whether a target is met.

A target is a bound on bboxconv's own figure: at most a sum of multiples of other tools' figures and of constants. The
tool named CONSTANT has the figure 1, and BEST_PEER has the lowest figure of the peers written in Python.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

OWN, BEST_PEER, CONSTANT = "bboxconv", "best peer", ""
SLOW_PEERS = ("labelformat", "globox", "datumaro", "supervision")
PEERS = ("panlabel", *SLOW_PEERS)

Measure = Literal["seconds", "megabytes"]


@dataclass(frozen=True)
class Run:
    """One process: wall seconds, and the peak in MB of its and its children's memory, None where it was not seen."""

    seconds: float
    megabytes: float | None


@dataclass(frozen=True)
class Job:
    """A command of one tool. `out` is deleted after each run and must be there before that; `own_clock` commands
    print the seconds that count."""

    tool: str
    command: tuple[str, ...]
    out: Path | None = None
    own_clock: bool = False
    note: str = ""


@dataclass(frozen=True)
class Target:
    """bboxconv's figure is at most the sum of factor times the figure of a tool, over the terms."""

    measure: Measure
    terms: tuple[tuple[float, str], ...]

    def __str__(self) -> str:
        if len(self.terms) > 1:
            return "<= " + " + ".join(f"{factor:g} {tool}" for factor, tool in self.terms)
        ((factor, tool),) = self.terms
        if tool == CONSTANT:
            return f"<= {factor:g} {'s' if self.measure == 'seconds' else 'MB'}"
        if self.measure == "megabytes":
            return f"<= {factor:g} of {tool}'s MB"
        return f">= {1 / factor:g} x faster than {tool}" if factor < 1 else f"<= {factor:g} {tool}"


@dataclass(frozen=True)
class Comparison:
    """Tools at the same work, bboxconv first, the inputs that must be there, and bboxconv's targets."""

    name: str
    title: str
    size: float
    jobs: tuple[Job, ...]
    targets: tuple[Target, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """The counted runs of one tool, in their order; none where it failed, and then the note says why."""

    tool: str
    runs: tuple[Run, ...] = ()
    warm_up: Run | None = None
    note: str = ""

    def figure(self, measure: Measure) -> float | None:
        """The median of the seconds, the highest of the peaks."""
        if measure == "seconds":
            return statistics.median(run.seconds for run in self.runs) if self.runs else None
        return max((run.megabytes for run in self.runs if run.megabytes is not None), default=None)


@dataclass(frozen=True)
class Verdict:
    """A target, what was found in its terms, and whether it is met; None where a figure is missing."""

    target: str
    found: str
    met: bool | None


@dataclass(frozen=True)
class Outcome:
    """A comparison that has been run. `load`: the machine's load average before it."""

    name: str
    title: str
    size: float
    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...]
    load: float | None = None
    note: str = field(default="")

    def result(self, tool: str) -> Result | None:
        return next((one for one in self.results if one.tool == tool), None)


def figure_of(tool: str, measure: Measure, results: Mapping[str, Result]) -> float | None:
    """A tool's figure, where `tool` may also be CONSTANT or BEST_PEER."""
    if tool == CONSTANT:
        return 1.0
    if tool == BEST_PEER:
        found = [results[peer].figure(measure) for peer in SLOW_PEERS if peer in results]
        return min((figure for figure in found if figure is not None), default=None)
    return results[tool].figure(measure) if tool in results else None


def judge(target: Target, results: Mapping[str, Result]) -> Verdict:
    """Hold bboxconv's figure against a target."""
    own = figure_of(OWN, target.measure, results)
    rivals = [figure_of(tool, target.measure, results) for _, tool in target.terms]
    known = [figure for figure in rivals if figure is not None]
    if own is None or len(known) < len(rivals):
        return Verdict(str(target), "no figure", None)
    limit = sum(factor * figure for (factor, _), figure in zip(target.terms, known, strict=True))
    return Verdict(str(target), _found(target, own, known, limit), own <= limit)


def _found(target: Target, own: float, rivals: list[float], limit: float) -> str:
    if len(target.terms) > 1:
        return f"{own / limit:.2f} of that"
    ((factor, tool),) = target.terms
    if tool == CONSTANT:
        return f"{own:.3g} s" if target.measure == "seconds" else f"{own:.0f} MB"
    if target.measure == "seconds" and factor < 1:
        return f"{rivals[0] / own:.1f} x"
    return f"{own / rivals[0]:.2f}"


def seconds(*terms: tuple[float, str]) -> Target:
    return Target("seconds", terms)


def megabytes(*terms: tuple[float, str]) -> Target:
    return Target("megabytes", terms)


def faster(factor: float, tool: str) -> Target:
    return Target("seconds", ((1 / factor, tool),))
