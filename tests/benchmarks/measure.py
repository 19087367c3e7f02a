"""Run commands and measure them: wall seconds, and the memory of a process with all its children.

Memory is the proportional set size (a page that n processes share counts 1/n in each), read from
/proc/PID/smaps_rollup of every process of the run at short intervals and added up; the peak is the highest sum seen.
The look takes time itself, so the interval is at least twenty times what the last look took.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from results import OWN, PEERS, Comparison, Job, Result, Run
from trash import Trash

INTERVAL = 0.02  # seconds between two looks, at the least
SHARE = 20
HAS_MEMORY = Path("/proc/self/smaps_rollup").exists()


def _memory(root: int) -> float:
    """Megabytes of a process and all below it."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        try:
            waiting += [
                int(child)
                for path in Path(f"/proc/{pid}/task").glob("*/children")
                for child in path.read_text().split()
            ]
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except (OSError, StopIteration):  # it has ended
            continue
    return total * 1024 / 1e6


class _Watch(threading.Thread):
    """Looks at the memory of a process until it ends, and stops it beyond a limit of megabytes or seconds."""

    def __init__(self, process: subprocess.Popen[bytes], megabytes: float, seconds: float) -> None:
        super().__init__(daemon=True)
        self.process, self.megabytes, self.seconds = process, megabytes, seconds
        self.peak: float | None = None
        self.stopped = ""

    def run(self) -> None:
        began = time.perf_counter()
        while self.process.returncode is None:
            look = time.perf_counter()
            if HAS_MEMORY:
                self.peak = max(self.peak or 0.0, _memory(self.process.pid))
            if (self.peak or 0) > self.megabytes:
                self.stopped = f"stopped: more than {self.megabytes / 1e3:.0f} GB"
            elif look - began > self.seconds:
                self.stopped = f"stopped: more than {self.seconds:.0f} s"
            if self.stopped and self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                return
            time.sleep(max(INTERVAL, SHARE * (time.perf_counter() - look)))


def run(job: Job, megabytes: float, seconds: float) -> Run | str:
    """Run a job once; where it fails or is stopped, the reason. What it writes must not be there."""
    environment = dict(os.environ)
    if job.command[0] != sys.executable:  # a peer has its own packages
        environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaint:
        began = time.perf_counter()
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complaint,
            env=environment,
            start_new_session=True,
        )
        watch = _Watch(process, megabytes, seconds)
        watch.start()
        process.wait()
        took = time.perf_counter() - began
        watch.join()
        said.seek(0)
        complaint.seek(0)
        if watch.stopped:
            return watch.stopped
        if process.returncode:
            lines = (said.read() + complaint.read()).decode(errors="replace").split("\n")
            return next((line.strip()[:120] for line in reversed(lines) if line.strip()), f"exit {process.returncode}")
        if job.out is not None and not job.out.exists():
            return "ended well, and wrote nothing"
        return Run(float(said.read()) if job.own_clock else took, watch.peak)


def compare(
    comparison: Comparison,
    runs: int,
    once_beyond: float,
    limits: tuple[float, float],
    trash: Trash,
) -> tuple[Result, ...]:
    """Run the jobs of a comparison in turn (A, B, A, B ...): a warm-up of each, then `runs` rounds.

    The machine's speed drifts, so that runs of the same tool one after another would measure the drift. A peer whose
    warm-up takes more than `once_beyond` times bboxconv's is not run again: its warm-up counts. limits: megabytes and
    seconds beyond which a process is stopped.
    """
    found: dict[str, list[Run]] = {job.tool: [] for job in comparison.jobs}
    notes = {job.tool: job.note for job in comparison.jobs}
    waiting = [job for job in comparison.jobs if job.command]
    for turn in range(runs + 1):
        for job in tuple(waiting):
            trash.take(job.out)
            done = run(job, *limits)
            trash.take(job.out)
            if isinstance(done, str):
                waiting.remove(job)
                found[job.tool], notes[job.tool] = [], done
                trash.tell(f"{comparison.name} {job.tool}: {done}")
                continue
            found[job.tool].append(done)
            trash.tell(f"{comparison.name} {job.tool}: {done.seconds:.2f} s, {done.megabytes or 0:.0f} MB")
            own = found[OWN][:1]
            if turn == 0 and own and job.tool in PEERS and done.seconds > once_beyond * own[0].seconds:
                waiting.remove(job)
                notes[job.tool] = "; ".join(filter(None, (notes[job.tool], "one run")))
    return tuple(
        Result(tool, tuple(done[1:] or done), done[0] if len(done) > 1 else None, notes[tool])
        for tool, done in found.items()
    )
