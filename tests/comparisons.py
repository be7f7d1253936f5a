"""Small verdicts for tests of what only reads them."""

from collections import Counter
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.comparison import Comparison, Gate, Side
from sae_merge_method.artifacts.schema import write_record
from sae_merge_method.artifacts.subject import Measures, Subject

NOTHING = Measures(math_verify=None, no_answer=None, cut_off=None, mean_characters=None, mean_tokens=None)


def subject(
    task: str, base: float, edited: float, verdict: str, p: float, holds: bool, **changes: Any
) -> Subject:
    fields: dict[str, Any] = {
        "task": task, "n": 540, "n_edited": 540, "base": base, "edited": edited, "delta": edited - base,
        "higher_is_better": True, "z": 3.41 if edited > base else 0.2, "p": p, "p_adjusted": min(1.0, 2 * p),
        "test": "lm_eval", "paper_z": 3.41 if edited > base else 0.2, "paper_p": p, "interval": None,
        "verdict": verdict, "holds": holds, "reason": None, "base_stderr": 0.02, "edited_stderr": 0.02,
        "base_interval": None, "edited_interval": None, "detectable": 0.08, "paired": None,
        "base_measures": NOTHING, "edited_measures": NOTHING, **changes,
    }  # fmt: skip
    return Subject(**fields)


def comparison(*subjects: Subject, result: str | None = None, **changes: Any) -> Comparison:
    """Of these subjects; by default number theory as the paper prints it, and a subject that is lm-eval's alone."""
    subjects = subjects or (
        subject("minerva_math_sae_num_theory", 160 / 540, 213 / 540, "improved", 0.00066, True),
        subject("other|task", 0.5, 0.5, "not shown", 0.9, False),
    )
    side = Side(label="base", model="base", results="r.json", lm_eval_version="0.4.13", result_sha256=result)
    fields: dict[str, Any] = {
        "base": side, "edited": side, "metric": "exact_match,none", "test": "auto", "correction": "holm",
        "alpha": 0.05, "power": 0.8, "draws": 0, "seed": 0, "subjects": subjects, "groups": (),
        "counts": Counter(one.verdict for one in subjects), "mismatches": (), "marks": (), "notes": (), "margin": None,
        "gate": Gate(whole=None, max_loss=None, regressions=(), excesses=()), **changes,
    }  # fmt: skip
    return Comparison(**fields)


def save_comparison(path: Path, made: Comparison | None = None, *, result: str | None = None) -> Path:
    """Write one; ``result`` is the hash of the checkpoint that was evaluated."""
    write_record(path, made or comparison(notes=("It is <b>format</b>, not maths.",), result=result))
    return path
