"""The peers, and the command of each for a pair of formats.

Each has a virtual environment of its own, DIR/<peer>.
"""

from __future__ import annotations

from pathlib import Path

import environments
import generate
from inputs import Data
from results import PEERS, Job

SCRIPT = Path(__file__).with_name("peerscript.py")  # datumaro and supervision have no command line for this


def install(folder: Path, wanted: tuple[str, ...] = PEERS) -> dict[str, str]:
    """Make the environments that are not there; the version of each peer, or why there is none, in brackets."""
    return {peer: environments.install(folder, peer) for peer in wanted}


def job(peer: str, pair: str, data: Data, folder: Path | None, versions: dict[str, str]) -> Job | None:
    """The job of a peer for a pair such as "coco-yolo"; None where it does not do that. Without its environment, a
    job without a command and with the reason."""
    source, target = pair.split("-")
    make = {"panlabel": _panlabel, "labelformat": _labelformat, "globox": _globox}.get(peer, _script(peer))
    out = data.out(f"{peer}-{pair}" + (".json" if target == "coco" and peer != "datumaro" else ""))
    words = make(source, target, data, out)
    if words is None:
        return None
    if folder is None or versions.get(peer, "(").startswith("("):
        return Job(peer, (), note=versions.get(peer, "(not installed: --peers DIR)")[1:-1])
    name, *rest = words
    note = "file without segmentations" if peer == "supervision" and source == "coco" else ""
    return Job(peer, (str(environments.program(folder, peer, name)), *map(str, rest)), out, note=note)


def _source(source: str, data: Data) -> Path:
    return {"coco": data.coco, "voc": data.voc, "yolo": data.yolo_view}[source]


def _panlabel(source: str, target: str, data: Data, out: Path) -> list[object]:
    return ["panlabel", "convert", "--allow-lossy", "-f", source, "-t", target, "-i", _source(source, data), "-o", out]


def _labelformat(source: str, target: str, data: Data, out: Path) -> list[object]:
    words: list[object] = ["labelformat", "convert", "--task", "object-detection"]
    if source == "coco":
        words += ["--input-format", "coco", "--input-file", data.coco]
    elif source == "voc":
        names = ",".join(str(category["name"]) for category in generate.categories())
        words += ["--input-format", "pascalvoc", "--input-folder", data.voc / "Annotations", "--category-names", names]
    else:
        words += ["--input-format", "yolov8", "--input-file", data.yolo_view / "data.yaml", "--input-split", "train"]
    if target == "coco":
        return [*words, "--output-format", "coco", "--output-file", out]
    if target == "voc":
        return [*words, "--output-format", "pascalvoc", "--output-folder", out]
    return [*words, "--output-format", "yolov8", "--output-file", out / "data.yaml", "--output-split", "train"]


def _globox(source: str, target: str, data: Data, out: Path) -> list[object]:
    formats = {"coco": "coco", "voc": "pascalvoc", "yolo": "yolov5"}
    folder = {"coco": data.coco, "voc": data.voc / "Annotations", "yolo": data.yolo / "labels"}[source]
    words = ["globox", "--quiet", "convert", folder, out, "-f", formats[source], "-F", formats[target]]
    if source == "yolo":
        words += ["--img_folder", data.images, "--img_ext", ".jpg"]
    if target == "coco" and source != "coco":
        words.append("--coco_auto_ids")
    if target == "yolo":
        words += ["--reverse_mapping_out", data.names]
    return words


def _script(peer: str):
    def make(source: str, target: str, data: Data, out: Path) -> list[object]:
        views = {"coco": data.coco_view, "voc": data.voc_view, "yolo": data.yolo_view}
        # supervision holds a mask of the whole image for every box that has a segmentation: some 300 kB a box.
        file = data.plain if peer == "supervision" else data.coco
        return ["python", SCRIPT, peer, source, target, views[source], file, out]

    return make
