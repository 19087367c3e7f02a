"""Tasks on an executor: same results, same order, errors that arrive."""

from __future__ import annotations

import os

import pytest

from bboxconv.errors import DataError, OutputError
from bboxconv.workers import run


def square(number: int) -> int:
    if number == 13:
        raise DataError.of("unlucky", "thirteen", where="here")
    return number * number


def die(number: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    """Whatever the number of processes."""
    assert list(run(square, range(13), jobs)) == [n * n for n in range(13)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_arrives_whole(jobs: int) -> None:
    """Its type and its diagnostics cross the process border."""
    with pytest.raises(DataError) as caught:
        list(run(square, [1, 13, 2], jobs))
    assert caught.value.diagnostics[0].code == "unlucky"
    assert caught.value.diagnostics[0].where == ("here",)


def test_a_worker_that_dies_is_an_error_and_no_hang() -> None:
    """A process that ends in the middle of a task is reported as such."""
    with pytest.raises(OutputError) as caught:
        list(run(die, range(4), 2))
    assert caught.value.diagnostics[0].code == "worker-died"
