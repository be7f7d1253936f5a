"""Which checkpoint an evaluation was of: the hash in the edit report of the folder that lm-eval loaded.

What lm-eval loaded from the Hub, or with an adapter over it, has no such hash here.
"""

from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, read_edit_report
from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.errors import ArtifactError

_OTHER_WEIGHTS = ("peft", "lora_local_path", "delta", "gguf_file", "subfolder")
"""Arguments of lm-eval's backends by which it loads more than the folder's weights, or others."""


def measured_on(run: EvalRun) -> str | None:
    """Hash of the result that was evaluated.

    Args:
        run: An evaluation; a relative folder in it is looked for in the working folder.

    Returns:
        ``result_sha256`` of the folder's edit report; None where the model is no folder with one, the report
        has none, or it was written after the evaluation began: then another result may have been there.
    """
    config = run.raw.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    arguments = arguments if isinstance(arguments, dict) else {}
    began = run.raw.get("date")
    if any(arguments.get(name) for name in _OTHER_WEIGHTS) or not isinstance(began, (int, float)):
        return None
    named = arguments.get("pretrained") or run.model
    report = Path(str(named)).expanduser() / REPORT_FILE
    try:
        if report.stat().st_mtime > began:
            return None
        return read_edit_report(report.parent).result_sha256
    except (OSError, ValueError, ArtifactError):  # no such folder, no report in it, or one of another version
        return None
