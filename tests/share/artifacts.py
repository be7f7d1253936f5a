"""A small verdict for tests of what only reads it."""

from pathlib import Path

from sae_merge_method.artifacts.comparison import Comparison, Measures, Side, Subject
from sae_merge_method.artifacts.schema import write_record

NOTHING = Measures(math_verify=None, no_answer=None, cut_off=None, mean_characters=None, mean_tokens=None)


def subject(task: str, base: float, edited: float, verdict: str, p: float, holds: bool) -> Subject:
    return Subject(
        task=task, n=540, n_edited=540, base=base, edited=edited, delta=edited - base,
        z=3.41 if edited > base else 0.2, p=p, p_adjusted=min(1.0, 2 * p), verdict=verdict, holds=holds,
        reason=None, base_stderr=0.02, edited_stderr=0.02, base_interval=None, edited_interval=None,
        detectable=0.08, paired=None, base_measures=NOTHING, edited_measures=NOTHING,
    )  # fmt: skip


def save_comparison(path: Path) -> Path:
    """Number theory as the paper prints it, and a subject that is lm-eval's alone."""
    subjects = (
        subject("minerva_math_sae_num_theory", 160 / 540, 213 / 540, "improved", 0.00066, True),
        subject("other|task", 0.5, 0.5, "unchanged", 0.9, False),
    )
    side = Side(label="base", model="base", results="r.json", lm_eval_version="0.4.13")
    write_record(
        path,
        Comparison(
            base=side, edited=side, metric="exact_match,none", test="lm_eval", correction="holm", alpha=0.05,
            power=0.8, draws=0, seed=0, subjects=subjects, groups=(), improved=1, degraded=0, unchanged=1,
            untested=0, mismatches=(), notes=("It is <b>format</b>, not maths.",),
        ),
    )  # fmt: skip
    return path
