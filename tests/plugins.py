"""A stranger's package as pip would install it: modules and a `dist-info` with entry points, without building one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FORMAT = """
from pathlib import Path
from bboxconv.boxes import BoxFormat
from bboxconv.codec import FormatInfo, Match, Target, Written
from bboxconv.schema import Dataset, Header

INFO = FormatInfo(
    "{name}", "A format", "https://example.org", "file", (".{name}",), "xyxy",
    carries=frozenset({{"image.file_name"}}), aliases=("{name}-alias",),
)

def detect(path, head):
    return Match({weight}, "starts with {name}") if head.startswith(b"{name}") else None

def read(source, context):
    return Dataset(Header(BoxFormat("xyxy"), source="{name}"), lambda: iter(()), 0)

def target(header, options):
    return Target(BoxFormat("xyxy"), INFO.carries)

def write(header, batches, out, context):
    out.write_text("{name}" + str(sum(len(batch) for batch in batches)))
    return Written()
"""
"""A small format: `FORMAT.format(name=..., weight=...)`."""


def install(folder: Path, distribution: str, points: Mapping[str, str], modules: Mapping[str, str]) -> Path:
    """Put a package of version 1.0 into a folder: entry points of bboxconv.formats, and modules by name. Returns the
    folder, to be put on the path.
    """
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bboxconv.formats]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return folder
