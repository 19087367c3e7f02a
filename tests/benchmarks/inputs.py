"""The data of one size: what the tools read, made once and unmeasured.

The COCO file comes from generate.py. YOLO, VOC and Parquet are what bboxconv makes of it, made anew in every
benchmark; `views` has them in the layouts that peers insist on, as links.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import generate
import msgspec
from trash import Trash


@dataclass(frozen=True)
class Data:
    """Where the data of one size is."""

    root: Path

    @property
    def coco(self) -> Path:
        return self.root / "views" / "coco" / "annotations" / "instances_train.json"

    @property
    def parquet(self) -> Path:
        return self.root / "boxes.parquet"

    @property
    def yolo(self) -> Path:
        return self.root / "yolo"

    @property
    def voc(self) -> Path:
        return self.root / "voc"

    @property
    def plain(self) -> Path:
        """COCO without segmentations."""
        return self.root / "plain.json"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def names(self) -> Path:
        return self.root / "names.txt"

    @property
    def coco_view(self) -> Path:
        return self.root / "views" / "coco"

    @property
    def yolo_view(self) -> Path:
        """YOLO with its images."""
        return self.root / "views" / "yolo"

    @property
    def voc_view(self) -> Path:
        """VOC as in the development kit, with lists and images."""
        return self.root / "views" / "voc"

    def out(self, name: str) -> Path:
        return self.root / "out" / name


class _Image(msgspec.Struct, gc=False):
    file_name: str
    width: int
    height: int


class _Images(msgspec.Struct):
    images: list[_Image]


OURS = (sys.executable, "-m", "bboxconv")


def prepare(data: Data, size: float, needs: set[str]) -> None:
    """Make the COCO file, and of "parquet", "yolo", "voc", "plain" and "images" what is needed and not there."""
    for folder in (data.coco.parent, data.out("x").parent):
        folder.mkdir(parents=True, exist_ok=True)
    if not data.coco.exists():
        part = data.coco.with_suffix(".part")
        generate.write(part, size)
        part.rename(data.coco)
    for need, more in (("parquet", ()), ("yolo", ("--to", "yolo")), ("voc", ("--to", "voc"))):
        if need in needs:
            _convert(data.coco, getattr(data, need), *more)
    if "plain" in needs:
        _convert(data.voc, data.plain)
    if "images" in needs:
        _write_images(data)
        _write_views(data)


def clean(data: Data, trash: Trash) -> None:
    """Throw away all but the COCO file and the images, which the next benchmark takes again."""
    for path in (data.parquet, data.yolo, data.voc, data.plain, data.out("x").parent, data.yolo_view, data.voc_view):
        trash.take(path)


def _convert(source: Path, out: Path, *more: str) -> None:
    if not out.exists():
        subprocess.run([*OURS, "convert", str(source), str(out), "-qq", *more], check=True)


def jpeg(width: int, height: int) -> bytes:
    """A grey baseline JPEG: every block is two bits, no difference of the mean and end of block."""
    quantization = b"\xff\xdb" + struct.pack(">HB", 67, 0) + b"\x01" * 64
    frame = b"\xff\xc0" + struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0)
    codes = b"".join(b"\xff\xc4" + struct.pack(">HB", 20, table) + b"\x01" + bytes(16) for table in (0x00, 0x10))
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 63, 0)
    bits = 2 * (-(-width // 8)) * (-(-height // 8))
    padding = bytes([(1 << (8 - bits % 8)) - 1]) if bits % 8 else b""
    return b"\xff\xd8" + quantization + frame + codes + scan + bytes(bits // 8) + padding + b"\xff\xd9"


def _write_images(data: Data) -> None:
    """An image for each one of the COCO file; those of the same size are links to one file."""
    if data.images.exists():
        return
    part = data.root / "images.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    first: dict[tuple[int, int], Path] = {}
    for image in msgspec.json.decode(data.coco.read_bytes(), type=_Images).images:
        path, size = part / image.file_name, (image.width, image.height)
        if size in first:
            os.link(first[size], path)
        else:
            path.write_bytes(jpeg(*size))
            first[size] = path
    part.rename(data.images)


def _write_views(data: Data) -> None:
    names = [category["name"] for category in generate.categories()]
    data.names.write_text("".join(f"{name}\n" for name in names))
    main = data.voc_view / "ImageSets" / "Main"
    main.mkdir(parents=True, exist_ok=True)
    (main / "train.txt").write_text("".join(f"{path.stem}\n" for path in (data.voc / "Annotations").iterdir()))
    (data.voc_view / "labelmap.txt").write_text("".join(f"{name}:::\n" for name in names))
    data.yolo_view.mkdir(parents=True, exist_ok=True)
    (data.yolo_view / "data.yaml").write_bytes((data.yolo / "data.yaml").read_bytes())
    for link, target in (
        (data.coco_view / "images", data.images),
        (data.voc_view / "Annotations", data.voc / "Annotations"),
        (data.voc_view / "JPEGImages", data.images),
        (data.yolo_view / "labels", data.yolo / "labels"),
        (data.yolo_view / "images", data.images),
    ):
        if not link.is_symlink():
            link.symlink_to(target, target_is_directory=True)
