"""Mini-batches for torch's DataLoader; the extra `bboxconv[torch]` installs torch.

>>> batches = bboxconv.minibatches("boxes.parquet", 64, shuffle=True)
>>> dataset = bboxconv.torchdata.iterable_dataset(batches)
>>> loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bboxconv.errors import UsageError
from bboxconv.minibatch.batches import MiniBatches

if TYPE_CHECKING:
    from bboxconv.minibatch.torchset import TorchMiniBatches


def iterable_dataset(batches: MiniBatches) -> TorchMiniBatches:
    """An IterableDataset of torch that gives the batches, whose arrays are tensors.

    Give it to `DataLoader(dataset, batch_size=None, num_workers=N)`: it makes batches itself. They come in the same
    order for any N. A worker reads the row groups of its own batches: with shuffling, half of all where there are two,
    four or eight workers, a third of three, a sixth of six; without, and where all images fit into `window`, all.

    Call `dataset.set_epoch(n)` before each epoch, also where workers persist. To resume, save
    `dataset.state_after(batch)` of the last batch that was used, and give it to `dataset.load_state_dict` before the
    DataLoader is iterated: the next batch is the one that would have come, also with another number of workers.
    torchdata's StatefulDataLoader saves and restores by itself, with the same number of workers.

    Raises UsageError where torch is not installed.
    """
    try:
        from bboxconv.minibatch.torchset import TorchMiniBatches  # noqa: PLC0415 - an extra
    except ImportError as error:
        hint = "pip install 'bboxconv[torch]' installs it"
        raise UsageError.of("missing-library", "this needs torch, which is not installed", hint=hint) from error
    return TorchMiniBatches(batches)
