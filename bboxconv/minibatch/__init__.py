"""Mini-batches for training loops, from everything that bboxconv reads."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, get_args

from bboxconv.arguments import ON_INVALID, UNANNOTATED, one_of, sides, whole, words
from bboxconv.boxes import BoxFormat
from bboxconv.errors import UsageError
from bboxconv.minibatch.batch import Arrays, Layout, maker
from bboxconv.minibatch.batches import MiniBatches
from bboxconv.minibatch.order import LANES, Order
from bboxconv.minibatch.pieces import Keeping, Kept, pieces_of
from bboxconv.request import Request
from bboxconv.schema import Dataset
from bboxconv.suggest import did_you_mean

Keep = Literal["keep", "drop"]
KEEP = 64 << 20
"""Bytes of images that are kept from one epoch for the next."""
WINDOW = 4096 * LANES
"""Images in memory at a time: a row group of the usual size for each lane."""


def minibatches(
    src: str | PathLike[str] | Sequence[str | PathLike[str]] | Dataset,
    batch_size: int = 64,
    *,
    box: str | BoxFormat = "cxcywhn",
    layout: Layout = "flat",
    arrays: Arrays = "numpy",
    dtype: Literal["float32", "float64"] = "float32",
    pad_to: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    window: int = WINDOW,
    keep: int = KEEP,
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
    crowd: Keep = "drop",
    difficult: Keep = "keep",
    empty: Keep = "keep",
    unannotated: Literal["skip", "keep"] = "skip",
    on_invalid: Literal["keep", "clip", "drop", "fail"] = "keep",
    from_: str | None = None,
    in_: Mapping[str, str] | None = None,
    split: str | Sequence[str] = (),
    classes: str | PathLike[str] | None = None,
    class_map: Sequence[str] | Mapping[str, str] = (),
    include_class: Sequence[str] = (),
    exclude_class: Sequence[str] = (),
    default_class: str | None = None,
    images: str | PathLike[str] | None = None,
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    jobs: int = 1,
    max_expansion: float | None = None,
) -> MiniBatches:
    """Mini-batches of `batch_size` images, the last of an epoch smaller unless `drop_last`. Iterating gives an epoch.

    `src` is what `read` takes: a path, `split=path`, or several of them; or a data set that a program has. A batch has

    - `layout="flat"`: `boxes` (M, 4), `labels` (M,), `image_index` (M,), the boxes of all images in one array;
    - `layout="list"`: `targets`, for each image a dict of `boxes` (N, 4) and `labels` (N,);
    - `layout="padded"`: `boxes` (B, K, 4), `labels` (B, K), `mask` (B, K); K is `pad_to`, or the most boxes of an image
      of this batch. Padding is 0 in boxes and -1 in labels. More boxes than `pad_to` are an error;

    and in each layout `file_names`, `image_ids` (B,), -1 where there is none, `image_sizes` (B, 2), width and height in
    pixels, 0 where unknown, `epoch`, `number`, and `len(batch)`, the number of images. Boxes are in the format `box`,
    as `convert_boxes` names it, of `dtype`; labels are int64 indices into `categories` (torchvision's detectors want 1
    added: their 0 is the background). `arrays` says whose arrays they are. For a DataLoader of torch, with any number
    of workers, see `bboxconv.torchdata`.

    **What is in it.** Each image is in one batch of an epoch. `crowd` boxes (COCO's iscrowd) are left out and
    `difficult` ones (VOC) kept, unless told otherwise; so are images without boxes (`empty`), which teach what
    background is. Regions to be ignored, and objects without a box, are never in it, and images that nobody has
    annotated are not unless `unannotated="keep"`. A rotated box is its envelope. `on_invalid` is what becomes of boxes
    that pass the edge of their image or have no area. The other options are those of `convert`. Sizes of images, where
    `box` needs them and the source has none, come from `image_sizes`, `image_size` and `images`.

    **Order.** Without `shuffle` that of the source. With it, an order that depends on `seed` and epoch (`set_epoch`)
    alone, and is the same on every machine and for any number of workers. It is not a permutation of all images, unless
    they fit into `window`, the number of images that are held in memory: row groups are put in random order, and cut
    into six lanes that give a batch in turn; in each lane the images of window/6, at least of one row group, are
    permuted. So all images of a batch come from as few row groups, and a batch from the next row group follows it: of a
    file in which the images of a class or a film follow each other, the batches are less mixed than in a full shuffle.
    A larger `window` mixes better and takes more memory, some 0.4 kB for an image with ten boxes.

    **Ranks and workers.** Each of `world_size` ranks has its own stretch of the row groups, images // world_size or one
    more. No image is left out or repeated, so that a rank may have one batch less than another; with `drop_last` all
    have the same number.

    **Reading.** Of Parquet that bboxconv wrote, no more is read than the row groups that the next batches need, and of
    these the needed columns; what was read is kept for the next epochs, up to `keep` bytes in each process (64 MiB, of
    which an image with ten boxes takes some 0.4 kB; 0: nothing). Every other source is read once, when this function is
    called, by `jobs` processes, and held in a file without a name in the folder for temporary files, some 0.3 kB for an
    image with ten boxes. In either case memory does not grow with the data, and `len()` is known.

    Raises UsageError for a call that is wrong and DataError where the data has a fault, which of Parquet may be found
    in the middle of an epoch.
    """
    goal = _format(box)
    order = Order(
        (),
        whole("batch_size", batch_size, 1),
        shuffle,
        whole("seed", seed, 0),
        whole("window", window, 1),
        drop_last,
        whole("rank", rank, 0),
        whole("world_size", world_size, 1),
    )
    pad_to = None if pad_to is None else whole("pad_to", pad_to, 1)
    _check(order, layout, arrays, dtype, pad_to)
    for name, value in (("crowd", crowd), ("difficult", difficult), ("empty", empty)):
        one_of(name, value, get_args(Keep))
    one_of("unannotated", unannotated, UNANNOTATED)
    one_of("on_invalid", on_invalid, ON_INVALID)
    image_size = sides(image_size)
    dataset = src if isinstance(src, Dataset) else None
    pairs = [f"{old}={new}" for old, new in class_map.items()] if isinstance(class_map, Mapping) else words(class_map)
    request = Request(
        _texts(src),
        from_=from_,
        in_=dict(in_ or {}),
        classes=None if classes is None else Path(classes),
        class_map=tuple(pairs),
        include_class=words(include_class),
        exclude_class=words(exclude_class),
        default_class=default_class,
        unannotated=unannotated,
        split=words(split),
        images=None if images is None else Path(images),
        image_sizes=None if image_sizes is None else fspath(image_sizes),
        image_size=image_size,
        jobs=whole("jobs", jobs, 0),
        max_expansion=max_expansion,
        on_invalid=on_invalid,
    )
    if dataset is not None:
        _for_paths(
            from_=from_,
            in_=in_,
            classes=classes,
            class_map=class_map,
            include_class=include_class,
            exclude_class=exclude_class,
            default_class=default_class,
        )
    keeping = Keeping(crowd == "keep", difficult == "keep", empty == "keep", dtype)
    stack = ExitStack()
    try:
        pieces = pieces_of(request, dataset, goal, keeping, stack)
    except BaseException:
        stack.close()
        raise
    counted = replace(order, counts=tuple(piece.images for piece in pieces.pieces))
    weakref.finalize(pieces, stack.close)  # what standard input was copied to stays as long as it can be read
    return MiniBatches(pieces, counted, layout, pad_to, arrays, Kept(whole("keep", keep, 0)))


def _texts(src: str | PathLike[str] | Sequence[str | PathLike[str]] | Dataset) -> tuple[str, ...]:
    if isinstance(src, Dataset):
        return ()
    if isinstance(src, Mapping) or hasattr(src, "__arrow_c_stream__"):
        hint = (
            '["train=PATH", "val=PATH"] are paths with splits' if isinstance(src, Mapping) else "bboxconv.from_pandas"
        )
        raise UsageError.of(
            "bad-argument", f"src must be a path, several, or a data set, not a {type(src).__name__}", hint=hint
        )
    try:
        found = (fspath(src),) if isinstance(src, str | PathLike) else tuple(fspath(one) for one in src)
    except TypeError as error:
        raise UsageError.of("bad-argument", f"src must be a path, several, or a data set, not {src!r}") from error
    if not found:
        raise UsageError.of("bad-argument", "src has no path")
    return found


def _format(box: str | BoxFormat) -> BoxFormat:
    if isinstance(box, BoxFormat):
        return box
    try:
        return BoxFormat.parse(box)
    except AttributeError as error:
        raise UsageError.of("bad-argument", f"box must be the name of a box format, not {box!r}") from error
    except ValueError as error:
        known = ("xyxy", "xywh", "cxcywh", "xyxyn", "xywhn", "cxcywhn")
        hint = did_you_mean(box, known) or f"known: {', '.join(known)}"
        raise UsageError.of("unknown-box-format", f"box: there is no box format {box!r}", hint=hint) from error


def _check(order: Order, layout: str, arrays: str, dtype: str, pad_to: int | None) -> None:
    """Raises UsageError for values that cannot be."""
    if order.rank >= order.world_size:
        message = f"rank must be less than world_size, which is {order.world_size}, not {order.rank}"
        raise UsageError.of("bad-argument", message, hint="ranks count from 0")
    for name in ("shuffle", "drop_last"):
        if not isinstance(getattr(order, name), bool):
            raise UsageError.of("bad-argument", f"{name} must be True or False, not {getattr(order, name)!r}")
    one_of("layout", layout, get_args(Layout))
    one_of("arrays", arrays, get_args(Arrays))
    one_of("dtype", dtype, ("float32", "float64"))
    if pad_to is not None and layout != "padded":
        raise UsageError.of("bad-argument", f"pad_to is for layout='padded', not for {layout!r}")
    if arrays == "jax" and dtype == "float64" and _narrow():
        hint = 'jax.config.update("jax_enable_x64", True)'
        raise UsageError.of("bad-argument", "JAX has no float64 unless it is told so before", hint=hint)
    try:
        maker(arrays)  # type: ignore[arg-type]  # checked above
    except ImportError as error:
        hint = f"pip install 'bboxconv[{arrays}]' installs it" if arrays == "torch" else f"pip install {arrays}"
        raise UsageError.of(
            "missing-library", f"arrays={arrays!r} needs {arrays}, which is not installed", hint=hint
        ) from error


def _narrow() -> bool:
    """Whether JAX, where there is one, makes float32 of float64."""
    try:
        import jax  # noqa: PLC0415 - for those who ask for it
    except ImportError:
        return False
    return not jax.config.read("jax_enable_x64")


def _for_paths(**given: object) -> None:
    """Raises UsageError for options of reading beside a data set that was read already."""
    for name, value in given.items():
        if value:
            hint = f"give the path instead, or {name} to the function that reads"
            raise UsageError.of("bad-argument", f"{name} is for paths, not for a data set at hand", hint=hint)
