"""How a run ends: its exit code, and what is said where it failed."""

from __future__ import annotations

import errno
import platform
import shlex
import sys
import traceback
from collections.abc import Callable

from bboxconv.cli.usage import Look
from bboxconv.errors import BboxconvError, Diagnostic, ExitCode, OutputError, Place


class BugError(BboxconvError):
    """An error that nobody foresaw, in bboxconv or in a plugin."""

    exit_code = ExitCode.BUG


def settle(work: Callable[[], ExitCode], look: Look) -> ExitCode:
    """Do the work; show what goes wrong, and return the exit code either way.

    Raises BrokenPipeError where the reader of our output went away, which is no failure, and KeyboardInterrupt.
    """
    try:
        return work()
    except Exception as error:  # the one place where every error ends
        if _closed_pipe(error):
            raise BrokenPipeError from error
        failure = _failure(error)
        if look.debug:
            traceback.print_exception(error)
    from bboxconv.cli.ui import show_failure  # noqa: PLC0415 - not needed where all goes well

    try:
        show_failure(failure, look)
    except OutputError as error:
        if error.diagnostics != failure.diagnostics:  # else it is the report that cannot be written, as just shown
            show_failure(error, Look(color=look.color))
    return failure.exit_code


def _failure(error: Exception) -> BboxconvError:
    if isinstance(error, BboxconvError):
        return error
    if isinstance(error, OSError):
        where = str(error.filename or "")
        return OutputError.of("io-failed", f"reading or writing failed: {error.strerror or error}", where=where)
    if isinstance(error, MemoryError):
        hint = "fewer --jobs, less --memory and a smaller --batch-size need less"
        return OutputError.of("out-of-memory", "there is not enough memory; nothing was written", hint=hint)
    return bug(error)


def _closed_pipe(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return True
        error = error.__cause__
    return False


def bug(error: Exception) -> BugError:
    """An unexpected error, with all that a report of it needs."""
    from importlib.metadata import PackageNotFoundError, metadata  # noqa: PLC0415 - slow to load, and rarely needed

    try:
        facts = metadata("bboxconv")
        version, links = facts["Version"], dict(link.split(", ", 1) for link in facts.get_all("Project-URL") or ())
    except PackageNotFoundError:
        version, links = "(not installed)", {}
    tracker = links.get("Issues", "the project's issue tracker")
    system = f"bboxconv {version}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    hint = f"please report it at {tracker} with these lines; --debug shows the traceback"
    message = f"unexpected {type(error).__name__}: {error}" if str(error) else f"unexpected {type(error).__name__}"
    places = (Place(shlex.join(["bboxconv", *sys.argv[1:]])), Place(system))
    return BugError([Diagnostic("bug", message, count=1, places=places, hint=hint)])
