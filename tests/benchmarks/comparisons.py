"""Every comparison of the benchmark with its targets.

Bounds stand beside the tools: L decodes the COCO file whole into typed structs and does nothing else (a whole
process), F makes the files of the YOLO tree, as many and of the same names and sizes, R reads them (F and R: the bare
loop alone, without the start of Python).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import peers
from inputs import OURS, Data
from results import (
    BEST_PEER,
    CONSTANT,
    OWN,
    PEERS,
    SLOW_PEERS,
    Comparison,
    Job,
    Target,
    faster,
    megabytes,
    seconds,
)

_LOOP = "import os, sys, time\n{before}\nbegan = time.perf_counter()\n{loop}\nprint(time.perf_counter() - began)"
_BOUNDS = {
    "L": """import sys, msgspec
class A(msgspec.Struct, gc=False):
    id: int; image_id: int; category_id: int; bbox: tuple[float, float, float, float]; area: float; iscrowd: int
    segmentation: msgspec.Raw
class I(msgspec.Struct, gc=False):
    id: int; file_name: str; width: int; height: int
class D(msgspec.Struct):
    images: list[I]; annotations: list[A]
with open(sys.argv[1], "rb") as file:
    msgspec.json.decode(file.read(), type=D)""",
    "F": _LOOP.format(
        before="""files = [(f"{sys.argv[2]}/{entry.name}", bytes(entry.stat().st_size)) for entry in os.scandir(sys.argv[1])]
os.makedirs(sys.argv[2])""",
        loop="""for name, data in files:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL); os.write(fd, data); os.close(fd)""",
    ),
    "R": _LOOP.format(
        before="",
        loop="""for name in os.listdir(sys.argv[1]):
    fd = os.open(f"{sys.argv[1]}/{name}", os.O_RDONLY); os.read(fd, 1 << 20); os.close(fd)""",
    ),
}


@dataclass(frozen=True)
class Plan:
    """What is asked for: the environments of the peers, which of them, and whether slow ones run at size 1."""

    work: Path
    peers: Path | None = None
    versions: dict[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = PEERS
    all_peers: bool = False
    quick: bool = False

    def data(self, size: float) -> Data:
        return Data(self.work / f"{size:g}")


def _own(source: Path, out: Path, *more: str, tool: str = OWN) -> Job:
    return Job(tool, (*OURS, "convert", str(source), str(out), "-qq", *more), out)


def _bound(name: str, data: Data) -> Job:
    script = (sys.executable, "-c", _BOUNDS[name])
    if name == "L":
        return Job(name, (*script, str(data.coco)))
    out = data.out("bare")
    places = (str(data.yolo / "labels"), str(out))
    return Job(name, (*script, *places), out if name == "F" else None, own_clock=True)


def _peers(plan: Plan, pair: str, size: float) -> tuple[Job, ...]:
    """The jobs of the peers at a pair; of the slow ones only those that take minutes at most, unless all are wanted."""
    always = {"coco-yolo": "labelformat", "coco-coco": "globox"}.get(pair)
    wanted = [
        peer
        for peer in plan.tools
        if peer == "panlabel" or size < 1 or (size == 1 and (plan.all_peers or peer == always))
    ]
    jobs = (peers.job(peer, pair, plan.data(size), plan.peers, plan.versions) for peer in wanted)
    return tuple(job for job in jobs if job)


def _against(jobs: tuple[Job, ...]) -> tuple[Target, ...]:
    """The targets against the peers written in Python, where there are any."""
    if not any(job.tool in SLOW_PEERS for job in jobs):
        return ()
    return faster(8, BEST_PEER), megabytes((0.25, BEST_PEER))


def _mb(limit: float) -> Target:
    return megabytes((limit, CONSTANT))


def at_size(plan: Plan, size: float) -> list[Comparison]:
    """The conversions at a size of up to 1."""
    data = plan.data(size)
    lower, files, reads = (_bound(name, data) for name in "LFR")
    sizes = ("--image-sizes", str(data.parquet))
    images = ("--images", str(data.images))
    yolo, voc = ("--to", "yolo"), ("--to", "voc")
    rows: list[Comparison] = []

    def add(name: str, title: str, jobs: tuple[Job, ...], targets: tuple[Target, ...], *needs: str) -> None:
        # Peers read the views, which are of all the inputs.
        wanted = ("parquet", "yolo", "voc", "plain", "images") if any(job.tool in SLOW_PEERS for job in jobs) else needs
        stated = (*targets, *_against(jobs)) if size == 1 else ()  # below, the start of a process decides
        rows.append(Comparison(name, title, size, jobs, stated, wanted))

    add(
        "coco-parquet",
        "COCO to Parquet",
        (_own(data.coco, data.out("a.parquet")), lower),
        (seconds((2.6, "L")), _mb(500)),
    )
    boxes = _own(data.coco, data.out("a.parquet"), "--out", "layout=boxes")
    add("coco-parquet-boxes", "COCO to Parquet, one row a box", (boxes, lower), (seconds((2.0, "L")), _mb(500)))
    to_coco, to_yolo = _own(data.coco, data.out("a.json")), _own(data.coco, data.out("a"), *yolo)
    add("coco-coco", "COCO to COCO", (to_coco, *_peers(plan, "coco-coco", size)), (faster(2.5, "panlabel"), _mb(500)))
    add(
        "coco-yolo",
        "COCO to YOLO",
        (to_yolo, files, lower, *_peers(plan, "coco-yolo", size)),
        (faster(4, "panlabel"), seconds((1.3, "F"), (1.0, "L")), _mb(500)),
        "yolo",
    )
    add(
        "coco-voc",
        "COCO to VOC",
        (_own(data.coco, data.out("a"), *voc), *_peers(plan, "coco-voc", size)),
        (faster(4, "panlabel"), _mb(500)),
    )
    add("coco-jsonl", "COCO to JSON Lines", (_own(data.coco, data.out("a.jsonl")),), ())
    from_voc = _peers(plan, "voc-coco", size)
    add(
        "voc-coco",
        "VOC to COCO",
        (_own(data.voc, data.out("a.json")), *from_voc),
        (faster(1.5, "panlabel"), _mb(400)),
        "voc",
    )
    rival = tuple(replace(job, tool="panlabel to COCO") for job in from_voc if job.tool == "panlabel")
    add(
        "voc-parquet",
        "VOC to Parquet",
        (_own(data.voc, data.out("a.parquet")), *rival),
        (faster(1.8, "panlabel to COCO"), _mb(400)),
        "voc",
    )
    for name, title, out in (("parquet", "Parquet", "a.parquet"), ("coco", "COCO", "a.json")):
        own = _own(data.yolo, data.out(out), *sizes)
        add(f"yolo-{name}", f"YOLO to {title}", (own, reads), (seconds((2.5, "R")), _mb(400)), "yolo", "parquet")
    for name, title, job, more in (("coco", "COCO", to_coco, ()), ("yolo", "YOLO", to_yolo, yolo)):
        own = _own(data.parquet, job.out or data.out("a"), *more)
        add(
            f"parquet-{name}",
            f"Parquet to {title}",
            (own, replace(job, tool="from COCO")),
            (seconds((1.0, "from COCO")), _mb(400)),
            "parquet",
        )
    if (size < 1 and not plan.quick) or plan.all_peers:
        for pair, title, own in (
            ("voc-yolo", "VOC to YOLO", _own(data.voc, data.out("a"), *yolo)),
            ("yolo-coco", "YOLO with images to COCO", _own(data.yolo_view, data.out("a.json"), *images)),
            ("yolo-voc", "YOLO with images to VOC", _own(data.yolo_view, data.out("a"), *images, *voc)),
        ):
            name = pair.replace("yolo-", "yolo-images-")
            needs = ("yolo", "voc", "images")
            add(name, title, (own, *_peers(plan, pair, size)), (), *needs)
    return rows


def large(plan: Plan, size: float) -> list[Comparison]:
    """A size above 1 against size 1, and against itself with little memory."""
    data, one = plan.data(size), plan.data(1)
    parquet = _own(data.coco, data.out("a.parquet"))
    little = _own(data.coco, data.out("b.parquet"), "--memory", "64MiB")
    yolo = _own(data.coco, data.out("a"), "--to", "yolo")
    growth = (seconds((1.1 * size, "size 1")), megabytes((1.15, "size 1")))

    def smaller(job: Job, out: str, *more: str) -> Job:
        return _own(one.coco, one.out(out), *more, tool="size 1")

    return [
        Comparison("large-parquet", "COCO to Parquet", size, (parquet, smaller(parquet, "a.parquet")), growth),
        Comparison(
            "large-yolo",
            "COCO to YOLO",
            size,
            (yolo, smaller(yolo, "a", "--to", "yolo"), *_peers(plan, "coco-yolo", size)),
            growth,
        ),
        Comparison(
            "large-memory",
            "COCO to Parquet, --memory 64MiB",
            size,
            (little, replace(parquet, tool="default memory")),
            (seconds((1.5, "default memory")), _mb(420)),
        ),
    ]


def small(plan: Plan) -> list[Comparison]:
    """What a start costs: 100 images, and the help."""
    size = 100 / 118_287
    data = plan.data(size)
    start = Job("import pyarrow.parquet", (sys.executable, "-c", "import pyarrow.parquet"))
    hundred = _own(data.coco, data.out("a"), "--to", "yolo")
    return [
        Comparison(
            "hundred",
            "COCO to YOLO, 100 images",
            size,
            (hundred, start),
            (seconds((0.5, CONSTANT)), seconds((3, "import pyarrow.parquet"))),
        ),
        Comparison("help", "bboxconv --help", 0, (Job(OWN, (*OURS, "--help")),), (seconds((0.15, CONSTANT)),)),
    ]
