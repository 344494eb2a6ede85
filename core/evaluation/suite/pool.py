"""Jobs in this process or in several, each with one torch thread, as they are finished."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from core.errors import CheckpointError, ModelNotFoundError, WorkerError
from core.evaluation.suite.plan import Job, Plan, Suite, SuiteModel
from core.evaluation.suite.work import Images, Values, Worker

Outcome = tuple[Job, Values | CheckpointError | ModelNotFoundError]
"""A model that is gone or damaged fails its own jobs; any other error ends the whole evaluation."""

_worker: Worker


@contextmanager
def one_thread() -> Iterator[None]:
    """Another number of threads adds up in another order, which changes the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def outcomes(jobs: Sequence[Job], plan: Plan, x: Tensor, processes: int) -> Generator[Outcome]:
    """Computes the jobs, in order here, in any order from several processes. To stop early, close it."""
    processes = min(processes, len(jobs))
    first = x[: max(plan.suite.probes.values())].numpy()
    work = ((job, Images(x[job.start : job.start + plan.jobs[job]].numpy(), first)) for job in jobs)
    if processes > 1:
        yield from _spread(work, plan, processes)
    else:
        with one_thread():
            worker = Worker(plan.suite, plan.entries, plan.device)
            for job, images in work:
                yield _outcome(worker, job, images)


def _outcome(worker: Worker, job: Job, images: Images) -> Outcome:
    try:
        return job, worker.compute(job, images)
    except (CheckpointError, ModelNotFoundError) as error:
        return job, error


def _spread(work: Iterable[tuple[Job, Images]], plan: Plan, processes: int) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    end, lifeline = context.Pipe(duplex=False)
    # Few bytes: a process that starts takes no more before it has imported everything.
    given = plan.suite, plan.entries, plan.device, end
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=given)
    try:
        with _ctrl_c_ignored():
            futures = [pool.submit(_compute, job, images) for job, images in work]
        waiting = as_completed(futures)
        del futures  # each goes as it is yielded, and its values with it
        for future in waiting:
            yield future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise WorkerError(
            "A worker process was killed, perhaps for want of memory. Finished jobs are kept: run the same "
            "command again, with a smaller --jobs."
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        lifeline.close()


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Processes that are started meanwhile ignore it for good: it is for this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start(suite: Suite, entries: dict[str, SuiteModel], device: str, end: Connection) -> None:
    """Prepares a worker process."""
    global _worker
    threading.Thread(target=_follow, args=(end,), daemon=True).start()
    torch.set_num_threads(1)
    _worker = Worker(suite, entries, device)


def _follow(end: Connection) -> None:
    """Ends this process at once when the parent lets go of the pipe, or is killed."""
    with suppress(EOFError, OSError):
        end.recv()
    os._exit(1)


def _compute(job: Job, images: Images) -> Outcome:
    return _outcome(_worker, job, images)
