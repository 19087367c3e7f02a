"""Mini-batches as a data set of torch. Import it by `bboxconv.torchdata`: this module needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import torch
from torch.utils.data import IterableDataset, get_worker_info
from torch.utils.data._utils.collate import default_collate_fn_map

from bboxconv.errors import UsageError
from bboxconv.minibatch.batch import Batch, FlatBatch, ListBatch, PaddedBatch
from bboxconv.minibatch.batches import MiniBatches


class TorchMiniBatches(IterableDataset):
    """The batches of `MiniBatches` as tensors, for a DataLoader with any number of workers. torch asks for the base
    class: it is how a DataLoader knows what has an order of its own."""

    def __init__(self, batches: MiniBatches) -> None:
        self.batches = batches.with_arrays("torch")
        # Shared with workers that live longer than an epoch, which have a copy of all else.
        self._epoch = torch.tensor(batches.epoch).share_memory_()

    def __len__(self) -> int:
        """The number of batches in an epoch of this rank, of all workers together."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch[torch.Tensor]]:
        """In a worker, every batch that is its own."""
        worker = get_worker_info()
        self.batches.set_epoch(int(self._epoch))
        return self.batches.share(*((worker.id, worker.num_workers) if worker is not None else (0, 1)))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives, in workers that persist too."""
        self.batches.set_epoch(epoch)
        self._epoch.fill_(epoch)

    def state_dict(self) -> dict[str, int | str]:
        """Where the iteration in this process stands: torchdata's StatefulDataLoader asks each worker."""
        return self.batches.state_dict()

    def state_after(self, batch: Batch[torch.Tensor]) -> dict[str, int | str]:
        """The state in which the batch after this one comes next: for a DataLoader, whose workers are ahead."""
        return self.batches.state_after(batch)

    def load_state_dict(self, state: Mapping[str, int | str]) -> None:
        """Go on where `state` was taken. Call it before the DataLoader is iterated, and `set_epoch` before each epoch.
        Raises as `MiniBatches.load_state_dict`."""
        self.batches.load_state_dict(state)
        self._epoch.fill_(self.batches.epoch)


def _collated(batch: Sequence[object], *, collate_fn_map: object = None) -> NoReturn:
    """In the place of what torch says where a DataLoader is to make batches of batches."""
    raise UsageError.of(
        "bad-argument",
        "these are batches already, of which DataLoader is to make batches",
        hint="DataLoader(dataset, batch_size=None)",
    )


# Where torch looks for what others than its own types need:
# https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate
default_collate_fn_map.update(dict.fromkeys((FlatBatch, ListBatch, PaddedBatch), _collated))
