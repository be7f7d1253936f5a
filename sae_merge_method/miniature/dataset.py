"""The held-out problems as a data set that unmodified lm-eval tasks find offline.

``load_dataset("EleutherAI/hendrycks_math", ...)`` reads a folder of that name in the working folder
before it asks the Hub. Its README's ``configs:`` names one JSONL file per subject and split. The library's
cache, ``~/.cache/huggingface`` unless told, knows such a folder by what stands in this README and not by
what the files hold: so each is named by its content, and no miniature is asked another's problems.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
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
            text = _json_lines({"problem": p.text, "solution": p.solution} for p in problems)
            path = f"{config}/{split}-{sha256(text.encode()).hexdigest()[:8]}.jsonl"
            write_text(root / path, text)
            entries.append(f"  - split: {split}\n    path: {path}")
    body = "\n".join(entries)
    write_text(
        root / "README.md",
        f"---\nconfigs:\n{body}\n---\n"
        "Problems of the sae-merge miniature, written from templates; not the MATH data set.\n",
    )


def write_jsonl(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write one JSON object a line."""
    write_text(path, _json_lines(rows))


def _json_lines(rows: Iterable[Mapping[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
