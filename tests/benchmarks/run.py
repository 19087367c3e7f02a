"""Times and memory of bboxconv and its peers, side by side in one run, with the targets and whether they are met.

    python tests/benchmarks/run.py --quick --peers /tmp/peers      1/16 of train2017, two minutes at most
    python tests/benchmarks/run.py --peers /tmp/peers              all sizes: 1/16, 1 and 4 times train2017
    python tests/benchmarks/run.py --sizes 1 --only coco-parquet   some comparisons (--list names them)

Beside the table on standard output, WORK gets results.json (every run), readme.md and picture.svg, after each
comparison anew, so that a benchmark that is stopped leaves what it found. Peers come from virtual environments of
their own, PEERS/<peer>, made if they are not there; a peer that cannot be had or fails is a row that says so.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import comparisons
import inputs
import measure
import peers
import picture
import render
from results import OWN, PEERS, Comparison, Outcome, Result, Run, judge, seconds
from trash import Trash

import bboxconv

DISK = 4.0  # GB that size 1 takes at most at once: the inputs and one output
BOXES = 10_000_000
TORCHVISION = "torchvision's formula"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=Fraction, nargs="+", default=[Fraction(1, 16), Fraction(1), Fraction(4)])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these comparisons")
    parser.add_argument("--list", action="store_true", help="the names of the comparisons")
    parser.add_argument(
        "--quick", action="store_true", help="size 1/16, one run after a warm-up; panlabel, labelformat and globox once"
    )
    parser.add_argument("--runs", type=int, default=3, help="after a warm-up [3]")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="the environments of the peers; made if missing")
    parser.add_argument("--tools", nargs="*", choices=PEERS, default=PEERS, help="these peers")
    parser.add_argument("--all-peers", action="store_true", help="every peer at size 1 too: hours")
    parser.add_argument("--work", type=Path, default=Path("/tmp/bboxconv-benchmark"))
    parser.add_argument("--stop-after", type=float, default=1800, metavar="SECONDS", help="stop a process [1800]")
    parser.add_argument("--stop-beyond", type=float, default=12_000, metavar="MB", help="stop a process [12000]")
    parser.add_argument("--keep", action="store_true", help="keep the inputs that bboxconv made")
    return parser.parse_args()


def parts(plan: comparisons.Plan, sizes: list[float]) -> Iterator[tuple[set[float], list[Comparison]]]:
    """The comparisons in groups that have the same data on disk: the sizes of that data, and the comparisons."""
    yield {100 / inputs.generate.IMAGES}, comparisons.small(plan)
    for size in sorted(sizes):
        if size <= 1:
            yield {size}, comparisons.at_size(plan, size)
        else:
            yield {1.0, size}, comparisons.large(plan, size)


def convert_boxes(quick: bool, runs: int) -> Iterator[Outcome]:
    """`convert_boxes` against numpy, one outcome for each pair of formats, and `corner_to_center` against the best."""
    count = BOXES // 10 if quick else BOXES
    script = Path(__file__).with_name("boxmath.py")
    done = subprocess.run([sys.executable, script, str(count), str(runs)], capture_output=True, check=True)
    for pair, tools in json.loads(done.stdout).items():
        results = {tool: Result(tool, tuple(Run(one, None) for one in times)) for tool, times in tools.items()}
        helper = pair.startswith("corner_to_center")
        title = pair.replace(" ", ", ") if helper else f"convert_boxes, {pair.replace(' ', ' to ')}"
        limit = 1.5 if not helper else 1.1 if TORCHVISION in tools else 1.2
        verdict = judge(seconds((limit, TORCHVISION if TORCHVISION in tools else "numpy")), results)
        yield Outcome("boxes", title, 0, tuple(results.values()), (verdict,), os.getloadavg()[0], f"{count:,} boxes")


def outcome_of(comparison: Comparison, given: argparse.Namespace, trash: Trash) -> Outcome:
    load = os.getloadavg()[0]
    once_beyond = 0 if given.quick else 20
    limits = (given.stop_beyond, given.stop_after)
    results = measure.compare(comparison, given.runs, once_beyond, limits, trash)
    by_tool = {result.tool: result for result in results}
    verdicts = tuple(judge(target, by_tool) for target in comparison.targets)
    return Outcome(comparison.name, comparison.title, comparison.size, results, verdicts, load)


def failed(comparison: Comparison, reason: str) -> Outcome:
    return Outcome(comparison.name, comparison.title, comparison.size, (), (), note=reason)


def measured(given: argparse.Namespace, plan: comparisons.Plan, trash: Trash) -> Iterator[Outcome]:
    """Make the data of each part, measure its comparisons, throw the data away."""
    for sizes, rows in parts(plan, [float(size) for size in given.sizes]):
        chosen = [row for row in rows if not given.only or row.name in given.only]
        if not chosen:
            continue
        free, wanted = shutil.disk_usage(given.work).free / 1e9, DISK * sum(sizes) + 1
        if free < wanted:
            yield from (failed(row, f"{free:.0f} GB of disk are free, {wanted:.0f} GB are needed") for row in chosen)
            continue
        for size in sizes:
            needs = {need for row in chosen if row.size == size for need in row.needs}
            trash.tell(f"data of size {render.size_name(size)}")
            inputs.clean(plan.data(size), trash)
            inputs.prepare(plan.data(size), size, needs)
        for row in chosen:
            yield outcome_of(row, given, trash)
        if not given.keep:
            for size in sizes:
                inputs.clean(plan.data(size), trash)
    if not given.only or "boxes" in given.only:
        yield from convert_boxes(given.quick, given.runs + 2)


def machine() -> dict[str, object]:
    packages = ("bboxconv", "msgspec", "numpy", "pandas", "pyarrow", "lxml")
    return {
        "bboxconv": str(Path(bboxconv.__file__).parent),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in packages},
        "memory": "PSS of smaps_rollup, all processes of a run added up, sampled" if measure.HAS_MEMORY else "none",
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "not installed"


def write(work: Path, head: dict[str, object], outcomes: list[Outcome]) -> None:
    found = head | {"outcomes": [asdict(outcome) for outcome in outcomes]}
    (work / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (work / "table.txt").write_text(render.table(outcomes) + "\n")
    (work / "readme.md").write_text(render.readme(outcomes) + "\n")
    if drawn := picture.draw(outcomes):
        (work / "picture.svg").write_text(drawn)


def main() -> None:
    given = arguments()
    if given.quick:
        given.sizes, given.runs = [Fraction(1, 16)], 1
        given.tools = [tool for tool in given.tools if tool in PEERS[:3]]
    plan = comparisons.Plan(given.work, given.peers, {}, tuple(given.tools), given.all_peers, given.quick)
    names = {row.name for _, rows in parts(plan, [float(size) for size in given.sizes]) for row in rows} | {"boxes"}
    if given.list:
        print("\n".join(sorted(names)))
        return
    if unknown := set(given.only or ()) - names:
        sys.exit(
            f"no such comparison at these sizes: {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}"
        )
    given.work.mkdir(parents=True, exist_ok=True)
    if given.peers:
        plan.versions.update(peers.install(given.peers.absolute(), plan.tools))
    head = {"machine": machine(), "peers": plan.versions, "runs": given.runs}
    outcomes: list[Outcome] = []
    # As pip leaves it. Where PYTHONDONTWRITEBYTECODE is set, every process of a source tree would compile it again.
    compileall.compile_dir(Path(bboxconv.__file__).parent, quiet=1)
    trash = Trash(given.work / "trash", lambda line: print(line, file=sys.stderr, flush=True))
    try:
        for outcome in measured(given, plan, trash):
            outcomes.append(outcome)
            write(given.work, head, outcomes)
        print(render.table(outcomes))
        print(f"\n{render.readme(outcomes)}\n\nin {given.work}: results.json, table.txt, readme.md, picture.svg")
    finally:
        trash.empty()
    if any(not (own := outcome.result(OWN)) or not own.runs for outcome in outcomes):
        sys.exit("bboxconv itself failed or was not run in a comparison")


if __name__ == "__main__":
    main()
