"""The iterable of mini-batches: its order, its pieces, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import gcd

from bboxconv.arguments import whole
from bboxconv.errors import UsageError
from bboxconv.minibatch.batch import Arrays, Batch, Layout, batch_of, maker
from bboxconv.minibatch.columns import Columns, joined
from bboxconv.minibatch.order import Order, Window
from bboxconv.minibatch.pieces import Kept, Pieces
from bboxconv.schema import Category, Header


@dataclass(slots=True, eq=False, weakref_slot=True)
class MiniBatches:
    """Mini-batches of a data set; `bboxconv.minibatches` makes one. Iterating gives one epoch."""

    pieces: Pieces
    order: Order
    layout: Layout
    pad_to: int | None
    arrays: Arrays
    kept: Kept
    epoch: int = 0
    """The epoch that the next iteration gives; it changes by `set_epoch` and `load_state_dict` alone."""
    _start: tuple[int, int] = (0, 1)
    """The batch with which the next iteration begins, and how many processes share the batches by turns."""
    _next: tuple[int, int] = (0, 1)
    """The same of the iteration under way: the batch that comes next."""

    @property
    def header(self) -> Header:
        """The header of the data set."""
        return self.pieces.header

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes: `labels` are indices into them."""
        return self.header.categories

    @property
    def images(self) -> int:
        """How many images an epoch has, over all ranks."""
        return self.order.images

    def __len__(self) -> int:
        """The number of batches in an epoch of this rank."""
        return len(self.order)

    def __iter__(self) -> Iterator[Batch[object]]:
        return self.share(0, 1)

    def share(self, worker: int, workers: int) -> Iterator[Batch[object]]:
        """The batches of one of several processes that take them by turns, which all began where this one does: where
        `load_state_dict` put them back, else with the first.

        Raises UsageError where the state was that of one process of another number of them, and the iterator DataError
        where an image lacks what its batch needs, or a source has changed or cannot be read.
        """
        (first, stride), self._start = self._start, (0, 1)
        if stride not in (1, workers):
            hint = f"load it in each of {stride} workers, or save `state_after(batch)`, which any number of them takes"
            raise UsageError.of(
                "state-differs", f"the state is that of one worker of {stride}, not of {workers}", hint=hint
            )
        if stride == 1:
            first += worker
        self._next = (first, workers)
        return self._every(self.epoch, first, workers)

    def _every(self, epoch: int, first: int, stride: int) -> Iterator[Batch[object]]:
        """The batches `first`, `first + stride` and so on of an epoch; no more is read than they need. With `first + w`
        and a stride of W, W processes have each batch once."""
        order, make = self.order, maker(self.arrays)
        numbers, lanes = range(first, len(order), stride), order.lanes
        # A piece that is cut between two lanes is read once where both are needed here.
        cut: dict[int, Columns] | None = {} if gcd(stride, lanes) == 1 else None
        ways = [self._lane(epoch, lane, _of_lane(numbers, lanes, lane), cut) for lane in range(lanes)]
        for number in numbers:
            batch = batch_of(next(ways[number % lanes]), self.layout, self.pad_to, make, epoch, number)
            self._now(epoch, number + stride, stride)
            yield batch
        self._now(epoch, 0, 1)

    def _now(self, epoch: int, following: int, stride: int) -> None:
        """The iteration of an epoch has come so far. One that goes on after `set_epoch` chose another is not the one
        whose state is asked for."""
        if epoch == self.epoch:
            self._next = (following, stride)

    def _lane(self, epoch: int, lane: int, numbers: Iterable[int], cut: dict[int, Columns] | None) -> Iterator[Columns]:
        """The images of these batches, which are all of one lane, in order. `cut` holds pieces of which another lane
        has the rest."""
        order = self.order
        windows, lanes, begin, end = order.windows(epoch, lane), order.lanes, order.begin(lane), order.stretch[1]
        held: list[tuple[Window, Columns]] = []
        for number in numbers:
            start = begin + number // lanes * order.batch_size
            stop = min(start + order.batch_size, end)
            while held and held[0][0].stop <= start:
                del held[0]
            while not held or held[-1][0].stop < stop:
                window = next(windows)
                if window.stop > start:
                    held.append((window, self._load(epoch, window, cut)))
            yield joined(
                [
                    columns.cut(max(start, window.start) - window.start, min(stop, window.stop) - window.start)
                    for window, columns in held
                ]
            )

    def _load(self, epoch: int, window: Window, cut: dict[int, Columns] | None) -> Columns:
        parts = []
        for run in window.runs:
            whole = cut.pop(run.piece, None) if cut is not None else None
            if whole is None:
                whole = self.kept.load(run.piece, self.pieces.pieces[run.piece])
                if cut is not None and run.stop - run.start < len(whole):
                    cut[run.piece] = whole
            parts.append(whole.cut(run.start, run.stop))
        columns = joined(parts)
        rows = self.order.within(epoch, window)
        return columns if rows is None else columns.taken(rows)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives: with shuffling each has an order of its own. A new epoch
        begins with its first batch; the one that `load_state_dict` put back goes on where it was."""
        epoch = whole("epoch", epoch, 0)
        if epoch != self.epoch:
            self.epoch, self._start, self._next = epoch, (0, 1), (0, 1)

    def state_dict(self) -> dict[str, int | str]:
        """Where the iteration under way stands, in plain types. Before the first batch, and after the last one was
        followed by the end of the iteration, it is the beginning of the epoch."""
        return self._state(self.epoch, *self._next)

    def state_after(self, batch: Batch[object]) -> dict[str, int | str]:
        """The state in which the batch after this one comes next, whichever process made it: with a DataLoader, whose
        workers are ahead of the loop."""
        return self._state(batch.epoch, batch.number + 1, 1)

    def _state(self, epoch: int, following: int, stride: int) -> dict[str, int | str]:
        return {"version": 1, "epoch": epoch, "batch": following, "stride": stride, "order": self.order.mark}

    def load_state_dict(self, state: Mapping[str, int | str]) -> None:
        """Go on where `state` was taken: the next iteration begins with the batch that would have come.

        Raises UsageError where it was taken with other data or other options, so that it is another batch.
        """
        names = ("version", "epoch", "batch", "stride")
        numbers = [state.get(name) for name in names] if isinstance(state, Mapping) else []
        right = [type(number) is int and number >= least for number, least in zip(numbers, (1, 0, 0, 1), strict=False)]
        if len(right) < len(names) or not all(right) or numbers[0] != 1 or "order" not in state:
            raise UsageError.of("bad-argument", f"this is no state that `state_dict` gave: {state!r}")
        if state["order"] != self.order.mark:
            hint = (
                "source, batch_size, shuffle, seed, window, drop_last, world_size and what is left out must be the same"
            )
            raise UsageError.of("state-differs", "the state was taken of batches in another order", hint=hint)
        _, epoch, batch, stride = (int(number or 0) for number in numbers)
        self.epoch, self._start, self._next = epoch, (batch, stride), (batch, stride)

    def with_arrays(self, arrays: Arrays) -> MiniBatches:
        """The same batches as arrays of another library."""
        return replace(self, arrays=arrays)


def _of_lane(numbers: Iterable[int], lanes: int, lane: int) -> Iterator[int]:
    """The batches that a lane gives."""
    return (number for number in numbers if number % lanes == lane)
