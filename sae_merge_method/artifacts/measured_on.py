"""Which checkpoint an evaluation was of: the hash in the edit report of the folder that lm-eval loaded.

What lm-eval loaded from the Hub, or with an adapter over it, has no such hash here.
"""

import logging
from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.errors import ArtifactError, ModelError
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.shards import lacks_weights

LOG = logging.getLogger(__name__)

_OTHER_WEIGHTS = ("peft", "lora_local_path", "delta", "gguf_file", "subfolder")
"""Arguments of lm-eval's backends by which it loads more than the folder's weights, or others."""


def measured_on(run: EvalRun) -> str | None:
    """Hash of the result that was evaluated.

    Args:
        run: An evaluation; a relative folder in it is looked for in the working folder.

    Returns:
        ``result_sha256`` of the folder's edit report; None where the model is no folder with one, the report
        has none, it was written after the evaluation began (then another result may have been there), or the
        folder's weights are others than it lists, by the names, dtypes and shapes in their headers.
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
        written = read_edit_report(report.parent)
        if not _lists(written, report.parent):
            LOG.warning(
                "%s lists other tensors than lie beside it: it does not say what was evaluated", report
            )
            return None
        return written.result_sha256
    # No such folder, no report in it, one of another version, or weights that cannot be read.
    except (OSError, ValueError, ArtifactError, ModelError):
        return None


def _lists(report: EditReport, folder: Path) -> bool:
    """Whether a report is of a folder's weights, as far as headers tell; where none lie there, it may be."""
    if lacks_weights(folder):
        return True
    listed = {tensor.name: (tensor.dtype, tensor.shape) for tensor in report.tensors}
    stored = {name: (entry.dtype, entry.shape) for name, entry in open_checkpoint(folder).tensors.items()}
    return listed == stored
