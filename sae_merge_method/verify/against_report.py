"""The tensors against ``edit_report.json``: names, hashes, and the layers it says were open."""

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, TensorReport
from sae_merge_method.checkpoints import CONFIG_FILE, TensorEntry
from sae_merge_method.layers import format_layers
from sae_merge_method.verify.hints import find_swapped
from sae_merge_method.verify.ledger import Ledger
from sae_merge_method.verify.progress import Progress
from sae_merge_method.verify.sources import Sources
from sae_merge_method.verify.streams import Hashes, Streams


def check_against_report(
    sources: Sources, report: EditReport, streams: Streams, progress: Progress, ledger: Ledger
) -> None:
    """Every tensor that the report lists, and that it lists every tensor."""
    _check_head(sources, report, ledger)
    before = ledger.faults
    tensors, listed = sources.merged.tensors, {tensor.name: tensor for tensor in report.tensors}
    for name in sorted(set(listed) - set(tensors)):
        ledger.violate(name, f"{REPORT_FILE} lists this tensor, the checkpoint lacks it")
    for name in sorted(set(tensors) - set(listed)):
        ledger.violate(name, f"the checkpoint has this tensor, {REPORT_FILE} does not list it")
    found: dict[str, Hashes] = {}
    for name in sorted(set(tensors) & set(listed)):
        found[name] = streams.hashes(tensors[name])
        progress.advance(tensors[name].nbytes)
    wrong = {name: fault for name in found if (fault := _fault(tensors[name], listed[name], found[name]))}
    swapped = find_swapped({name: found[name].xxh3 for name in wrong}, {n: listed[n].xxh3 for n in wrong})
    for name, fault in wrong.items():
        tail = f"; it holds the bytes that belong in {swapped[name]}" if name in swapped else ""
        ledger.violate(name, fault + tail)
    ledger.conclude(f"{len(found)} tensors have the hashes of {REPORT_FILE}", ledger.faults - before)


def _check_head(sources: Sources, report: EditReport, ledger: Ledger) -> None:
    """The report is of this recipe and of this base."""
    before = ledger.faults
    if report.merge_method != sources.recipe.merge_method:
        ledger.violate(
            REPORT_FILE, f"is of {report.merge_method}, the recipe says {sources.recipe.merge_method}"
        )
    if report.layers != sources.layers:
        ledger.violate(
            REPORT_FILE,
            f"has layers {format_layers(report.layers)} open, the recipe {format_layers(sources.layers)}",
        )
    if sources.base is not None and sources.base.config_sha256 != report.base_config_sha256:
        ledger.violate(
            CONFIG_FILE,
            f"the base at {sources.base.folder} is not the one of {REPORT_FILE}: "
            f"sha256 {sources.base.config_sha256[:12]}..., expected {report.base_config_sha256[:12]}...",
        )
    for tensor in report.tensors:
        if (tensor.status == "edited") != (tensor.layer in report.layers):
            ledger.violate(tensor.name, f"{REPORT_FILE} calls it {tensor.status}, against its own layers")
    ledger.conclude(f"{REPORT_FILE} is of this recipe", ledger.faults - before)


def _fault(entry: TensorEntry, listed: TensorReport, found: Hashes) -> str | None:
    if (entry.dtype, entry.shape) != (listed.dtype, listed.shape):
        return f"{entry.dtype} {list(entry.shape)}, {REPORT_FILE} says {listed.dtype} {list(listed.shape)}"
    if found.xxh3 != listed.xxh3:
        return f"its bytes do not have the hash of {REPORT_FILE}"
    if listed.sha256 is not None and found.sha256 != listed.sha256:
        return f"its bytes do not have the sha256 of {REPORT_FILE}, though its XXH3: somebody forged it"
    return None
