"""Mini-batches in three layouts, of numpy arrays, torch tensors or JAX arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.errors import DataError
from bboxconv.minibatch.columns import Columns

if TYPE_CHECKING:
    import torch

A = TypeVar("A")
B = TypeVar("B")
Layout = Literal["flat", "list", "padded"]
Arrays = Literal["numpy", "torch", "jax"]
Numbers: TypeAlias = NDArray[np.floating] | NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FlatBatch(Generic[A]):
    """B images whose M boxes stand in one array, as Ultralytics collates them."""

    boxes: A
    """(M, 4) in the box format that was asked for."""
    labels: A
    """(M,) int64: the class of each box, as its index in `categories`."""
    image_index: A
    """(M,) int64: the image of each box, from 0 to B - 1, rising."""
    image_sizes: A
    """(B, 2) int64: width and height in pixels; 0 where unknown."""
    image_ids: A
    """(B,) int64: ids of the source; -1 where it has none, or one that is no 64-bit integer. In JAX, which has 32 bits
    unless jax_enable_x64 is set, an array of numpy where they do not fit."""
    names: pa.StringArray
    """B file names; `file_names` has them as texts, which are made when they are asked for."""
    epoch: int
    number: int
    """Which batch of the epoch this is, of those of this rank, from 0."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def file_names(self) -> tuple[str | None, ...]:
        """B file names as the source wrote them."""
        return tuple(self.names.to_pylist())

    def to(self, device: object, *, non_blocking: bool = False) -> Self:
        """The same batch with its tensors on a device, as `torch.Tensor.to` takes it. Raises TypeError where it has
        none."""
        if not hasattr(self.image_sizes, "pin_memory"):
            raise TypeError('a batch of torch alone can be moved: minibatches(..., arrays="torch") gives it')
        return _each(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batch with its tensors in pinned memory: a DataLoader with `pin_memory=True` asks for it."""
        return _each(self, lambda tensor: tensor.pin_memory())


@dataclass(frozen=True, slots=True, eq=False)
class ListBatch(Generic[A]):
    """B images with a target for each, as torchvision's detectors take them. The other fields are as in `FlatBatch`."""

    targets: list[dict[str, A]]
    """B mappings with `boxes` (N, 4) and `labels` (N,) of an image."""
    image_sizes: A
    image_ids: A
    names: pa.StringArray
    epoch: int
    number: int

    def __reduce__(self) -> tuple[object, ...]:
        """Tensors are sent as one for each field, and cut into those of the images again: for each that is sent, torch
        opens a file in both processes, of which a process may have a thousand."""
        rest = self.image_sizes, self.image_ids, self.names, self.epoch, self.number
        library = sys.modules.get("torch")
        tensors = library is not None and all(
            type(v) is library.Tensor for target in self.targets for v in target.values()
        )
        if library is None or not tensors or any(target.keys() != {"boxes", "labels"} for target in self.targets):
            return ListBatch, (self.targets, *rest)
        try:
            whole = [library.cat([target[name] for target in self.targets]) for name in ("boxes", "labels")]
        except (RuntimeError, TypeError, ValueError):  # what someone made of them does not fit together, or is nothing
            return ListBatch, (self.targets, *rest)
        lengths = [len(target["boxes"]) for target in self.targets]  # type: ignore[arg-type]  # tensors
        return _list_batch, (*whole, lengths, rest)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def file_names(self) -> tuple[str | None, ...]:
        """B file names as the source wrote them."""
        return tuple(self.names.to_pylist())

    def to(self, device: object, *, non_blocking: bool = False) -> Self:
        """The same batch with its tensors on a device, as `torch.Tensor.to` takes it. Raises TypeError where it has
        none."""
        if not hasattr(self.image_sizes, "pin_memory"):
            raise TypeError('a batch of torch alone can be moved: minibatches(..., arrays="torch") gives it')
        return _each(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batch with its tensors in pinned memory: a DataLoader with `pin_memory=True` asks for it."""
        return _each(self, lambda tensor: tensor.pin_memory())


@dataclass(frozen=True, slots=True, eq=False)
class PaddedBatch(Generic[A]):
    """B images with room for K boxes each, as DETR and JAX take them. The other fields are as in `FlatBatch`."""

    boxes: A
    """(B, K, 4), 0 where there is no box."""
    labels: A
    """(B, K) int64, -1 where there is no box."""
    mask: A
    """(B, K) bool: where there is a box. Those of an image come first."""
    image_sizes: A
    image_ids: A
    names: pa.StringArray
    epoch: int
    number: int

    def __len__(self) -> int:
        return len(self.names)

    @property
    def file_names(self) -> tuple[str | None, ...]:
        """B file names as the source wrote them."""
        return tuple(self.names.to_pylist())

    def to(self, device: object, *, non_blocking: bool = False) -> Self:
        """The same batch with its tensors on a device, as `torch.Tensor.to` takes it. Raises TypeError where it has
        none."""
        if not hasattr(self.image_sizes, "pin_memory"):
            raise TypeError('a batch of torch alone can be moved: minibatches(..., arrays="torch") gives it')
        return _each(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batch with its tensors in pinned memory: a DataLoader with `pin_memory=True` asks for it."""
        return _each(self, lambda tensor: tensor.pin_memory())


def _each(batch: B, change: Callable[[torch.Tensor], torch.Tensor]) -> B:
    """A batch with every tensor changed; arrays of other libraries stay as they are."""

    def changed(value: object) -> object:
        if isinstance(value, list):
            return [{name: changed(tensor) for name, tensor in target.items()} for target in value]
        return change(value) if hasattr(value, "pin_memory") else value  # tensors have it

    return type(batch)(*(changed(getattr(batch, one.name)) for one in fields(batch)))  # type: ignore[arg-type]


Batch: TypeAlias = FlatBatch[A] | ListBatch[A] | PaddedBatch[A]
Make: TypeAlias = Callable[[Numbers], A]


def _list_batch(
    boxes: torch.Tensor,
    labels: torch.Tensor,
    lengths: list[int],
    rest: tuple[torch.Tensor, torch.Tensor, pa.StringArray, int, int],
) -> ListBatch[torch.Tensor]:
    pairs = zip(boxes.split(lengths), labels.split(lengths), strict=True)
    return ListBatch([{"boxes": own, "labels": classes} for own, classes in pairs], *rest)


def batch_of(columns: Columns, layout: Layout, pad_to: int | None, make: Make[A], epoch: int, number: int) -> Batch[A]:
    """A batch of these images. Nothing of it is shared with the columns.

    Raises DataError where an image has more boxes than `pad_to`.
    """
    names = pa.concat_arrays([columns.names])  # a part of an array is sent to other processes as the whole
    rest = make(columns.sizes.copy()), make(columns.ids.copy()), names, epoch, number
    if layout == "flat":
        own = (columns.boxes.copy(), columns.labels.copy(), columns.image.copy())
        return FlatBatch(make(own[0]), make(own[1]), make(own[2]), *rest)
    if layout == "list":
        ends = columns.offsets[1:-1]
        pairs = zip(np.split(columns.boxes.copy(), ends), np.split(columns.labels.copy(), ends), strict=True)
        return ListBatch([{"boxes": make(boxes), "labels": make(labels)} for boxes, labels in pairs], *rest)
    boxes, labels, mask = _padded(columns, pad_to)
    return PaddedBatch(make(boxes), make(labels), make(mask), *rest)


def _padded(columns: Columns, pad_to: int | None) -> tuple[Numbers, Numbers, Numbers]:
    counts = np.diff(columns.offsets)
    most = int(counts.max(initial=0))
    if pad_to is not None and most > pad_to:
        image = int(counts.argmax())
        name = columns.names[image].as_py() if columns.names[image].is_valid else int(columns.ids[image])
        hint = f"pad_to={most} or more has room for them, pad_to=None in every batch for as many as it has"
        message = f"an image has {most} boxes, and pad_to is {pad_to}"
        raise DataError.of("too-many-boxes", message, where=f"image {name}", hint=hint)
    width = most if pad_to is None else pad_to
    mask = np.arange(width) < counts[:, None]
    boxes = np.zeros((len(columns), width, 4), columns.boxes.dtype)
    labels = np.full((len(columns), width), -1, np.int64)
    boxes[mask], labels[mask] = columns.boxes, columns.labels
    return boxes, labels, mask


def maker(arrays: Arrays) -> Make[object]:
    """What makes an array of that library of one of numpy. Raises ImportError where it is not installed."""
    make: Make[object]
    if arrays == "torch":
        import torch  # noqa: PLC0415 - for those who ask for it

        make = torch.from_numpy
    elif arrays == "jax":
        import jax.numpy  # noqa: PLC0415 - for those who ask for it

        def make(array: Numbers) -> object:
            """JAX has numbers of 32 bits unless told otherwise, and wraps what does not fit."""
            made = jax.numpy.asarray(array)
            narrowed = made.dtype != array.dtype and array.dtype == np.int64
            return array if narrowed and (array != array.astype(np.int32)).any() else made
    else:
        make = _itself
    return make


def _itself(array: Numbers) -> object:
    return array
