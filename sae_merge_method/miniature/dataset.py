"""The held-out problems as a data set that unmodified lm-eval tasks find offline.

``load_dataset("EleutherAI/hendrycks_math", ...)`` reads a folder of that name in the working folder
before it asks the Hub. Its README's ``configs:`` names one JSONL file per subject and split.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from sae_merge_method.files.writing import write_text
from sae_merge_method.miniature.problems import Problem

DATASET = "EleutherAI/hendrycks_math"

CONFIGS = {
    "algebra": "algebra",
    "counting_and_prob": "counting_and_probability",
    "geometry": "geometry",
    "intermediate_algebra": "intermediate_algebra",
    "num_theory": "number_theory",
    "prealgebra": "prealgebra",
    "precalc": "precalculus",
}
"""The data set's config name by lm-eval's subject name."""


def write_dataset(
    folder: Path, train: Mapping[str, Iterable[Problem]], test: Mapping[str, Iterable[Problem]]
) -> None:
    """Write the data set below ``folder``, where ``lm_eval`` is then to be run.

    Args:
        folder: Receives ``EleutherAI/hendrycks_math/``.
        train: Problems by subject; lm-eval never shows them to a zero-shot model.
        test: Held-out problems by subject.
    """
    root = folder / DATASET
    entries = []
    for subject, config in CONFIGS.items():
        entries.append(f"- config_name: {config}\n  data_files:")
        for split, problems in (("train", train[subject]), ("test", test[subject])):
            rows = [{"problem": p.text, "solution": p.solution} for p in problems]
            write_jsonl(root / config / f"{split}.jsonl", rows)
            entries.append(f"  - split: {split}\n    path: {config}/{split}.jsonl")
    body = "\n".join(entries)
    write_text(
        root / "README.md",
        f"---\nconfigs:\n{body}\n---\n"
        "Problems of the sae-merge miniature, written from templates; not the MATH data set.\n",
    )


def write_jsonl(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write one JSON object a line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
