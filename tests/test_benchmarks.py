"""The benchmark's own arithmetic: figures of several runs, targets met and missed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).with_name("benchmarks")


@pytest.fixture(scope="module")
def benchmarks() -> ModuleType:
    """The module `results` of the benchmarks, which are a folder of scripts and no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("results")
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("results", None)


def tools(module: ModuleType, **figures: tuple[float, float]):
    return {tool: module.Result(tool, (module.Run(*pair),)) for tool, pair in figures.items()}


def test_figures_are_the_median_time_and_the_highest_memory(benchmarks: ModuleType) -> None:
    """Of several runs the time is the median and the memory the highest peak; the warm-up does not count."""
    runs = tuple(benchmarks.Run(*pair) for pair in ((9.0, 100.0), (1.0, 300.0), (2.0, None)))
    result = benchmarks.Result("bboxconv", runs, warm_up=benchmarks.Run(50.0, 900.0))
    assert (result.figure("seconds"), result.figure("megabytes")) == (2.0, 300.0)


@pytest.mark.parametrize(("own", "met"), [(2.6, True), (2.61, False)])
def test_a_sum_of_bounds_is_met_up_to_its_value(benchmarks: ModuleType, own: float, met: bool) -> None:
    """1.3 F + 1 L with F = 1 and L = 1.3 allows 2.6 s and no more."""
    target = benchmarks.seconds((1.3, "F"), (1.0, "L"))
    verdict = benchmarks.judge(target, tools(benchmarks, bboxconv=(own, 1), F=(1.0, 1), L=(1.3, 1)))
    assert (verdict.target, verdict.met) == ("<= 1.3 F + 1 L", met)


@pytest.mark.parametrize(("own", "found", "met"), [(2.0, "4.0 x", True), (2.5, "3.2 x", False)])
def test_how_many_times_faster_counts_from_the_rival(benchmarks: ModuleType, own: float, found: str, met: bool) -> None:
    """A rival of 8 s is beaten four times by 2 s, and not by 2.5 s."""
    verdict = benchmarks.judge(
        benchmarks.faster(4, "panlabel"), tools(benchmarks, bboxconv=(own, 1), panlabel=(8.0, 1))
    )
    assert (verdict.target, verdict.found, verdict.met) == (">= 4 x faster than panlabel", found, met)


def test_the_best_peer_is_the_best_in_each_measure(benchmarks: ModuleType) -> None:
    """Time is held against the fastest peer and memory against the smallest, which may be another; panlabel is none
    of them."""
    found = tools(benchmarks, bboxconv=(1.0, 100), panlabel=(0.1, 10), globox=(8.0, 900), datumaro=(9.0, 399))
    peer = benchmarks.BEST_PEER
    assert benchmarks.judge(benchmarks.faster(8, peer), found).met is True
    assert benchmarks.judge(benchmarks.megabytes((0.25, peer)), found).met is False


def test_a_target_without_its_figures_is_neither_met_nor_missed(benchmarks: ModuleType) -> None:
    """A peer that failed, one that was not run, and bboxconv's own failure leave a target open."""
    target = benchmarks.faster(4, "panlabel")
    failed = {"panlabel": benchmarks.Result("panlabel", note="not installed")}
    own = tools(benchmarks, bboxconv=(1.0, 1))
    for results in (own, own | failed, tools(benchmarks, panlabel=(1.0, 1))):
        assert benchmarks.judge(target, results).met is None
