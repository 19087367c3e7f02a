"""Times and memory of bboxconv and its peers, side by side in one run.

    python tests/benchmarks/run.py --quick                 1/16 of train2017, two minutes
    python tests/benchmarks/run.py --scale 1 --runs 3      as large as train2017
    python tests/benchmarks/run.py --only coco-parquet     some rows

Each row is a whole process, its best of the runs after a warm-up; memory is the peak of the proportional set sizes of
all its processes together, sampled. Beside the rows stand three bounds: L, decoding the COCO file whole into typed
structs; F, a bare loop that makes as many small files; R, a bare loop that reads them. Peers come from a virtual
environment of their own (`--peers DIR`, made if it is not there); one that cannot be had is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
import venv
from dataclasses import asdict, dataclass
from pathlib import Path

import generate

PEERS = ("panlabel", "labelformat", "globox")
SAMPLE = 0.05  # seconds between two looks at memory

BOUNDS = {
    "L": """import msgspec
class A(msgspec.Struct, gc=False):
    id: int; image_id: int; category_id: int; bbox: tuple[float, float, float, float]; area: float; iscrowd: int
    segmentation: msgspec.Raw
class I(msgspec.Struct, gc=False):
    id: int; file_name: str; width: int; height: int
class D(msgspec.Struct):
    images: list[I]; annotations: list[A]
msgspec.json.decode(open(sys.argv[1], "rb").read(), type=D)""",
    "F": """os.makedirs(sys.argv[2]); data = b"0 0.5 0.5 0.25 0.25\\n" * 7
for name in os.listdir(sys.argv[1]):
    fd = os.open(f"{sys.argv[2]}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL); os.write(fd, data); os.close(fd)""",
    "R": """for name in os.listdir(sys.argv[1]):
    fd = os.open(f"{sys.argv[1]}/{name}", os.O_RDONLY); os.read(fd, 1 << 20); os.close(fd)""",
}


@dataclass(frozen=True)
class Row:
    """One tool at one conversion."""

    conversion: str
    tool: str
    seconds: float | None
    megabytes: float | None
    note: str = ""


def peak_memory(process: subprocess.Popen[bytes], found: list[float]) -> None:
    """Sample the proportional set sizes of a process and all below it until it ends."""
    while process.poll() is None:
        total = 0
        waiting = [process.pid]
        while waiting:
            pid = waiting.pop()
            try:
                children = Path(f"/proc/{pid}/task").glob("*/children")
                waiting += [int(child) for path in children for child in path.read_text().split()]
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            except (OSError, StopIteration):
                continue
        found[0] = max(found[0], total / 1e3)
        time.sleep(SAMPLE)


def measure(command: list[str], out: Path) -> tuple[float, float] | str:
    """Seconds and megabytes of one run of a command that writes `out`; the last line of its complaint if it fails."""
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True)
    peak = [0.0]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    watcher = threading.Thread(target=peak_memory, args=(process, peak))
    watcher.start()
    _, complaint = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    if process.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines() or [f"exit {process.returncode}"]
        return lines[-1][:100]
    return seconds, peak[0]


def commands(work: Path, peers: Path) -> dict[str, dict[str, tuple[list[str], Path]]]:
    """For each conversion the command of each tool, and what it writes. Later conversions read what earlier ones wrote."""
    ours = [sys.executable, "-m", "bboxconv", "convert"]
    coco, yolo, voc, parquet = work / "coco.json", work / "yolo", work / "voc", work / "boxes.parquet"

    def bboxconv(source: Path, out: Path, *more: str) -> dict[str, tuple[list[str], Path]]:
        return {"bboxconv": ([*ours, str(source), str(out), "-qq", *more], out)}

    def panlabel(source: Path, from_: str, out: Path, to: str) -> dict[str, tuple[list[str], Path]]:
        words = ["convert", "-f", from_, "-t", to, "-i", str(source), "-o", str(out), "--allow-lossy"]
        return {"panlabel": ([str(peers / "bin" / "panlabel"), *words], out)}

    def labelformat(source: Path, out: Path) -> dict[str, tuple[list[str], Path]]:
        words = ["convert", "--task", "object-detection", "--input-format", "coco", "--input-file", str(source)]
        words += ["--output-format", "yolov8", "--output-file", str(out / "data.yaml"), "--output-split", "train"]
        return {"labelformat": ([str(peers / "bin" / "labelformat"), *words], out)}

    def globox(source: Path, out: Path) -> dict[str, tuple[list[str], Path]]:
        words = ["convert", str(source), str(out), "-f", "coco", "-F", "coco"]
        return {"globox": ([str(peers / "bin" / "globox"), *words], out)}

    other = work / "other"
    return {
        "coco-parquet": bboxconv(coco, parquet),
        "coco-parquet-boxes": bboxconv(coco, work / "rows.parquet", "--out", "layout=boxes"),
        "coco-coco": bboxconv(coco, work / "again.json")
        | panlabel(coco, "coco", other / "panlabel.json", "coco")
        | globox(coco, other / "globox.json"),
        "coco-yolo": bboxconv(coco, yolo, "--to", "yolo")
        | panlabel(coco, "coco", other / "panlabel-yolo", "yolo")
        | labelformat(coco, other / "labelformat-yolo"),
        "coco-voc": bboxconv(coco, voc, "--to", "voc") | panlabel(coco, "coco", other / "panlabel-voc", "voc"),
        "coco-jsonl": bboxconv(coco, work / "boxes.jsonl"),
        "voc-coco": bboxconv(voc, work / "from-voc.json")
        | panlabel(voc, "voc", other / "panlabel-from-voc.json", "coco"),
        "voc-parquet": bboxconv(voc, work / "from-voc.parquet"),
        "yolo-parquet": bboxconv(yolo, work / "from-yolo.parquet", "--image-sizes", str(parquet)),
        "yolo-coco": bboxconv(yolo, work / "from-yolo.json", "--image-sizes", str(parquet)),
        "parquet-coco": bboxconv(parquet, work / "from-parquet.json"),
        "parquet-yolo": bboxconv(parquet, work / "from-parquet-yolo", "--to", "yolo"),
        "help": {"bboxconv": ([sys.executable, "-m", "bboxconv", "--help"], work / "none")},
    }


def bound(name: str, runs: int, *arguments: Path) -> float:
    """The median time of one of the bounds, the start of Python taken off."""
    script = f"import os, sys, time\nbegan = time.perf_counter()\n{BOUNDS[name]}\nprint(time.perf_counter() - began)"
    times = []
    for _ in range(runs):
        if name == "F":
            shutil.rmtree(arguments[-1], ignore_errors=True)
        done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, check=True)
        times.append(float(done.stdout))
    return statistics.median(times)


def install(peers: Path) -> None:
    """Make the environment of the peers."""
    if not (peers / "bin").is_dir():
        venv.create(peers, with_pip=True)
        for name in PEERS:
            subprocess.run([peers / "bin" / "pip", "install", "--quiet", name], check=False)


def table(rows: list[Row], bounds: dict[str, float]) -> str:
    """The rows as Markdown; times also as multiples of L and of bboxconv's own."""
    lines = [
        f"L = {bounds['L']:.2f} s, F = {bounds.get('F', 0):.2f} s, R = {bounds.get('R', 0):.2f} s",
        "",
        "| conversion | tool | seconds | in L | against bboxconv | MB |",
        "|-|-|-|-|-|-|",
    ]
    own = {row.conversion: row.seconds for row in rows if row.tool == "bboxconv"}
    for row in rows:
        if row.seconds is None:
            lines.append(f"| {row.conversion} | {row.tool} | {row.note} | | | |")
            continue
        ratio = row.seconds / (own[row.conversion] or row.seconds)
        lines.append(
            f"| {row.conversion} | {row.tool} | {row.seconds:.2f} | {row.seconds / bounds['L']:.2f} | {ratio:.1f} "
            f"| {row.megabytes:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Make the data, run every row, print the table and write it beside the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="scale 1/16, one run")
    parser.add_argument("--only", nargs="*", help="conversions, by name")
    parser.add_argument("--work", type=Path, default=Path("/tmp/bboxconv-benchmark"))
    parser.add_argument("--peers", type=Path, help="a virtual environment with the peers; made if it is not there")
    given = parser.parse_args()
    scale, runs = (1 / 16, 1) if given.quick else (given.scale, given.runs)
    work: Path = given.work / f"{scale:g}"
    (work / "other").mkdir(parents=True, exist_ok=True)
    if given.peers:
        install(given.peers)
    if not (work / "coco.json").exists():
        generate.write(work / "coco.json", scale)
    bounds = {"L": bound("L", runs, work / "coco.json")}
    rows: list[Row] = []
    for conversion, tools in commands(work, given.peers or Path("no-peers")).items():
        if given.only and conversion not in given.only:
            continue
        for tool, (command, out) in tools.items():
            if tool != "bboxconv" and not (given.peers and Path(command[0]).exists()):
                rows.append(Row(conversion, tool, None, None, "not installed (--peers)"))
                continue
            done = [measure(command, out) for _ in range(runs + (runs > 1))][runs > 1 :]
            good = [one for one in done if not isinstance(one, str)]
            if not good:
                rows.append(Row(conversion, tool, None, None, str(done[0])))
                continue
            seconds = statistics.median(one[0] for one in good)
            rows.append(Row(conversion, tool, seconds, max(one[1] for one in good)))
            print(f"{conversion:20} {tool:12} {seconds:8.2f} s {rows[-1].megabytes:8.0f} MB", file=sys.stderr)
    labels = next((work / "yolo" / "labels").glob("*"), None) if (work / "yolo").is_dir() else None
    if labels is not None:
        folder = work / "yolo" / "labels"
        bounds |= {"F": bound("F", runs, folder, work / "bare"), "R": bound("R", runs, folder)}
    text = table(rows, bounds)
    print(text)
    (work / "table.md").write_text(text + "\n")
    (work / "table.json").write_text(json.dumps({"bounds": bounds, "rows": [asdict(row) for row in rows]}, indent=1))


if __name__ == "__main__":
    main()
