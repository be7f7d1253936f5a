"""A checkpoint against its own edit report, and the report against what the recipe asks for."""

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, EditRequest, TensorReport
from sae_merge_method.files.hashing import Hashes
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.recipe.request import request_of
from sae_merge_method.verify.hints import find_swapped
from sae_merge_method.verify.ledger import Ledger, Progress
from sae_merge_method.verify.sources import RECIPE_FILE, Sources
from sae_merge_method.verify.streams import Streams


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


_PLACES = frozenset({"diagnosis", "sae"})
"""Parameters that say where something lies."""


def check_against_request(sources: Sources, recorded: EditRequest | None, ledger: Ledger) -> None:
    """Weights and parameters, by layer and by name."""
    if recorded is None:
        if not sources.donors:  # otherwise the edits themselves are computed anew
            ledger.unproved.append(
                f"that {RECIPE_FILE} is the recipe that was run: {REPORT_FILE} is an older one, "
                "which does not record weights and parameters"
            )
        return
    before = ledger.faults
    found = request_of(sources.resolved)
    for what in (*_other_weights(found, recorded), *_other_parameters(found, recorded)):
        ledger.violate(RECIPE_FILE, what)
    if found.recipe_sha256 == recorded.recipe_sha256:
        ledger.conclude(f"{RECIPE_FILE} is the recipe that was run, to the byte", ledger.faults - before)
    elif ledger.faults == before:
        ledger.conclude(f"{RECIPE_FILE} asks for the weights and parameters of {REPORT_FILE}", 0)
        ledger.unproved.append(
            f"that {RECIPE_FILE} is the text that was run: its sha256 is not the one of {REPORT_FILE}"
            + "".join(f"; {moved}" for moved in _other_places(found, recorded))
        )


def _other_weights(found: EditRequest, recorded: EditRequest) -> list[str]:
    """Sentences on layers whose weights differ; donors are told apart by their order."""
    before, now = recorded.by_layer(), found.by_layer()
    layers: dict[str, list[int]] = {}
    for layer in sorted(before.keys() & now.keys()):
        if len(now[layer]) != len(before[layer]):
            words = f"{len(now[layer])} donors, {REPORT_FILE} says {len(before[layer])}"
            layers.setdefault(words, []).append(layer)
            continue
        for ours, theirs in zip(now[layer], before[layer], strict=True):
            if ours.weights != theirs.weights:
                words = f"{ours.model} has weight {ours}, {REPORT_FILE} says {theirs}"
                layers.setdefault(words, []).append(layer)
    return [
        f"in layer{'s' * (len(members) > 1)} {format_layers(members)}: {words}"
        for words, members in layers.items()
    ]


def _other_parameters(found: EditRequest, recorded: EditRequest) -> list[str]:
    return [
        f"{name} is {_said(found, name)}, {REPORT_FILE} says {_said(recorded, name)}"
        for name in sorted((found.parameters.keys() | recorded.parameters.keys()) - _PLACES)
        if found.parameters.get(name) != recorded.parameters.get(name)
    ]


def _other_places(found: EditRequest, recorded: EditRequest) -> list[str]:
    pairs = [(_said(found, name), _said(recorded, name)) for name in sorted(_PLACES)]
    pairs += zip(_models(found), _models(recorded), strict=False)
    return [f"{now} stands for {before}" for now, before in pairs if now != before]


def _models(request: EditRequest) -> list[str]:
    return list(dict.fromkeys(donor.model for group in request.weights for donor in group.donors))


def _said(request: EditRequest, name: str) -> str:
    return str(request.parameters[name]) if name in request.parameters else "not given"
