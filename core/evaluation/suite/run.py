"""run_suite: what is left of a suite is computed, logged, and put together at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from torch import Tensor

from core.data.files import check_folder
from core.device import find_device
from core.errors import CheckpointError, CoreError, DataError, InputError
from core.evaluation.suite.log import open_log, read_logs
from core.evaluation.suite.merge import write_results
from core.evaluation.suite.plan import SUITES, Data, Job, Plan, Suite, make_plan
from core.evaluation.suite.pool import cores, one_thread, outcomes
from core.isolation import isolated
from core.training.distributed import this_rank, wait_for_all
from core.vae.validate import check_choice, check_count

Progress = Callable[[float, float], None]
"""Called with (CPU seconds' worth of work done, of how many), both estimates; raise in it to stop."""


@isolated()
def run_suite(
    models: Sequence[str | Path],
    x: Tensor,
    y: Tensor,
    levels: Tensor,
    *,
    out: str | Path,
    results: str | Path | None = None,
    suite: str | Suite = "paper",
    dataset: str = "mnist",
    jobs: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Evaluate models on images x (N, C, H, W) with labels y (N,), and write tables and pictures.

    levels    the training set's histogram (core.data.samples.load_levels), for the constant decoder.
    out       folder of the logs, `log/rank-R.jsonl`, and of the values image by image, `rows/`.
    results   folder of suite.json, summary.csv, models.csv and samples/ (see `merge`); `out`
              if omitted.
    suite     a name in SUITES, or a Suite.
    jobs      worker processes; all cores if omitted, one on a GPU. Under torchrun each rank is one process.
    device    "cpu" or "cuda". A GPU gives the same values up to rounding, not the same bytes.
    progress  called after each job, of this rank; raise in it to stop.

    Stopped or killed at any moment, the same call goes on where it was. The files come out the same,
    byte for byte, on one kind of machine, however many processes and interruptions there were.

    Raises the errors of `load_model`; InputError, DataError for a log of another evaluation, OutputError,
    WorkerError; CheckpointError after all other jobs if a model vanished meanwhile.

    >>> x, y = core.load_samples("mnist")
    >>> levels = load_levels("mnist")
    >>> core.run_suite(["mnist-mlp-robust-0.1"], x[:2], y[:2], levels, out=folder / "suite", jobs=1)
    >>> (folder / "suite" / "summary.csv").exists()
    True
    """
    rank = this_rank()
    if rank.world > 1 and jobs not in (None, 1):
        raise InputError(f"--jobs is {jobs}, but under torchrun each rank is one process: leave it out.")
    find_device(device)  # before anything is written
    for folder in (out, out if results is None else results):
        check_folder(folder)
    usual = cores() if device == "cpu" else 1
    processes = check_count("--jobs", usual if jobs is None else jobs, 4096) if rank.world == 1 else 1
    if isinstance(suite, str):
        suite = SUITES[check_choice("suite", suite, tuple(SUITES))]
    plan = make_plan(models, x, y, suite, dataset, device)
    logs = Path(out) / "log"
    with open_log(logs / f"rank-{rank.rank}.jsonl", plan) as log:
        share = [job for index, job in enumerate(plan.jobs) if index % rank.world == rank.rank]
        done = set(read_logs(logs, plan))
        left = [job for job in share if job not in done]
        failed: dict[str, CoreError] = {}
        costs = _Costs(plan, share, left, progress)
        with closing(outcomes(left, plan, x, processes)) as finished:
            for job, outcome in finished:
                if isinstance(outcome, CoreError):
                    failed.setdefault(job.model, outcome)
                else:
                    log.append(job, outcome)
                costs.step(job)
        wait_for_all(rank)
        if failed:
            raise _gone(failed, logs)
        if rank.rank == 0:
            _merge(plan, logs, Data(x, y, levels), Path(out), Path(out if results is None else results))


def _merge(plan: Plan, logs: Path, data: Data, out: Path, results: Path) -> None:
    finished = read_logs(logs, plan)
    if missing := len(plan.jobs) - len(finished):
        raise DataError(
            f"{missing} of {len(plan.jobs)} jobs are not in {logs}. Copy the logs of all nodes there, and "
            "run the same command again: it does what is still missing."
        )
    with one_thread():
        write_results(plan, finished, data, out, results)


def _gone(failed: dict[str, CoreError], logs: Path) -> CheckpointError:
    reasons = " ".join(f"{name}: {error}" for name, error in failed.items())
    return CheckpointError(
        f"{reasons} What was computed before, and all of the other models, is in {logs}: bring the folder "
        "back as it was, and run the same command again."
    )


class _Costs:
    """Tells the progress callback how much of a share of the jobs is done, by their estimated cost."""

    def __init__(self, plan: Plan, share: list[Job], left: list[Job], progress: Progress | None) -> None:
        self._plan, self._progress = plan, progress
        self._total = sum(map(plan.cost, share))
        self._done = self._total - sum(map(plan.cost, left))
        self._tell()

    def step(self, job: Job) -> None:
        self._done += self._plan.cost(job)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)
