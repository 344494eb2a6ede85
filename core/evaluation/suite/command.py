"""python -m core evaluate --suite: the options, a bar, and how to go on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from core.data.samples import load_test
from core.errors import InputError
from core.evaluation.suite.run import run_suite
from core.training.distributed import this_rank
from core.vae.validate import check_count


def evaluate_suite(options: argparse.Namespace) -> None:
    """Runs `run_suite` for the parsed options of the command line."""
    for name, usual in options.fixed.items():
        if getattr(options, name) != usual:
            raise InputError(f"--{name} is decided by --suite {options.suite}; leave it out.")
    samples = None if options.samples is None else check_count("--samples", options.samples)
    x, y, levels = load_test(options.dataset, options.data or Path("data"), samples)
    out = f"runs/{options.suite}" if options.out is None else options.out
    results = out if options.results is None else options.results
    rank = this_rank().rank
    bar_format = "{percentage:.1f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(disable=None if rank == 0 else True, bar_format=bar_format, smoothing=0) as bar:

        def follow(done: float, total: float) -> None:
            if bar.total is None:
                bar.total, bar.initial, bar.n = total, done, done
            bar.update(done - bar.n)

        try:
            run_suite(
                options.models,
                x,
                y,
                levels,
                out=out,
                results=results,
                suite=options.suite,
                dataset=options.dataset,
                jobs=options.jobs,
                device=options.device,
                progress=follow,
            )
        except KeyboardInterrupt:
            bar.write(f"Finished jobs are in {out}; go on with the same command.", file=sys.stderr)
            raise
    if rank == 0:
        print(f"Tables and pictures in {results}, values image by image in {Path(out) / 'rows'}.")
