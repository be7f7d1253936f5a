"""Whether tests, intervals, claims and gates keep their promises: each held to its rate by simulation.

    python benchmarks/calibration.py                    every rate; minutes
    python benchmarks/calibration.py --only gate        those with the word in their name
    python benchmarks/calibration.py --scale 0.1        a tenth of the simulated worlds

Every row simulates worlds whose truth is known and asks the product's own functions about them. A rate is
outside its bound where the 99.9 % interval of what was counted lies outside as a whole: then the command ends
with 1. To hold something else to its rate: a function in ``rates/<topic>.py`` and a row of its ``RATES``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from rates import attribution, damping, documents, energy, harm, layers, pairs
from rates.rate import Hits, Rate
from tqdm import tqdm

from sae_merge_method.reports.grid import Cell, Grid, as_text
from sae_merge_method.statistics.intervals import Interval, wilson_interval

RATES: dict[str, Rate] = {
    rate.name: rate
    for topic in (attribution, damping, documents, energy, harm, layers, pairs)
    for rate in topic.RATES
}
LEVEL = 0.999


def count(name: str, scale: float) -> Hits:
    return RATES[name].hits(scale)


def is_within(rate: Rate, interval: Interval) -> bool:
    return interval.low <= rate.bound.high and rate.bound.low <= interval.high


def table(counted: Sequence[tuple[Rate, Hits]]) -> tuple[Grid, bool]:
    rows, all_within = [], True
    for rate, (hits, trials) in counted:
        interval = wilson_interval(hits, trials, LEVEL)
        within = is_within(rate, interval)
        all_within &= within
        texts = (
            rate.name,
            rate.assumes,
            f"{hits:,} of {trials:,}",
            f"{hits / trials:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
            str(rate.bound),
            "yes" if within else "NO",
        )
        rows.append(tuple(map(Cell, texts)))
    header = ("what is counted", "assumes", "counted", "rate", f"{LEVEL:.1%} interval", "bound", "within")
    words = frozenset(header) - {"counted", "rate"}
    return Grid(header, tuple(rows), words=words, ruled=frozenset((0,))), all_within


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="WORD", help="rates whose name holds the word")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the worlds to simulate")
    parser.add_argument("--workers", type=int, default=1, help="processes; the numbers do not depend on it")
    options = parser.parse_args()
    chosen = [rate for name, rate in RATES.items() if options.only.lower() in name.lower()]
    if not chosen:
        parser.error(f"no rate has {options.only!r} in its name: {'; '.join(RATES)}")
    with ProcessPoolExecutor(options.workers) as pool:
        asked = [pool.submit(count, rate.name, options.scale) for rate in chosen]
        done = [one.result() for one in tqdm(asked, unit="rate")]
    grid, all_within = table(list(zip(chosen, done, strict=True)))
    print(as_text(grid))
    sys.exit(not all_within)


if __name__ == "__main__":
    main()
