"""A checkpoint against its own edit report, and the report against what the recipe asks for."""

from collections.abc import Iterator, Mapping

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, EditRequest, TensorReport
from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.files.hashing import Hashes
from sae_merge_method.layers import Unit, format_layers, named_units, sorted_units, unit_of_tensor
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.recipe.request import request_of
from sae_merge_method.verify.hints import find_swapped
from sae_merge_method.verify.report import Established
from sae_merge_method.verify.sources import Sources
from sae_merge_method.verify.sweep import Seen

_WHERE_IT_LIES = frozenset({"diagnosis", "sae"})
"""Parameters that say where something lies, which another machine may say otherwise."""


def check_against_report(
    sources: Sources, report: EditReport, seen: Mapping[str, Seen], evidence: Established
) -> None:
    """Every tensor that the report lists, and that it lists every tensor."""
    with evidence.proving(f"{REPORT_FILE} is of this recipe"):
        _check_head(sources, report, evidence)
    tensors, listed = sources.merged.tensors, {tensor.name: tensor for tensor in report.tensors}
    in_both = sorted(set(tensors) & set(listed))
    recorded = [name for name in in_both if listed[name].xxh3 is not None]
    if unread := [name for name in in_both if name not in recorded and seen[name].base_xxh3 is None]:
        evidence.leave_open(
            f"the bytes of {len(unread)} tensors that were not edited: {REPORT_FILE} has no hash of them: "
            "an edit in place reads only what it changes, unless it is told --hash-all"
        )
    with evidence.proving(f"{len(recorded)} tensors have the hashes of {REPORT_FILE}"):
        for name in sorted(set(listed) - set(tensors)):
            evidence.violate(name, f"{REPORT_FILE} lists this tensor, the checkpoint lacks it")
        for name in sorted(set(tensors) - set(listed)):
            evidence.violate(name, f"the checkpoint has this tensor, {REPORT_FILE} does not list it")
        hashes = {name: seen[name].hashes for name in in_both}
        faults = {name: _fault(tensors[name], listed[name], hashes[name]) for name in in_both}
        wrong = {name: fault for name, fault in faults.items() if fault}
        swapped = find_swapped(
            {n: hashes[n].xxh3 for n in wrong},
            {n: digest for n in wrong if (digest := listed[n].xxh3) is not None},
        )
        for name, fault in wrong.items():
            tail = f"; it holds the bytes that belong in {swapped[name]}" if name in swapped else ""
            evidence.violate(name, fault + tail)


def _check_head(sources: Sources, report: EditReport, evidence: Established) -> None:
    """The report is of this recipe and of this base."""
    if report.merge_method != sources.recipe.merge_method:
        evidence.violate(
            REPORT_FILE, f"is of {report.merge_method}, the recipe says {sources.recipe.merge_method}"
        )
    if report.layers != sources.layers:
        evidence.violate(
            REPORT_FILE,
            f"has {named_units(report.layers)} selected, the recipe {format_layers(sources.layers)}",
        )
    if sources.base is not None and sources.base.config_sha256 != report.base_config_sha256:
        evidence.violate(
            CONFIG_FILE,
            f"the base at {sources.base.folder} is not the one of {REPORT_FILE}: "
            f"sha256 {sources.base.config_sha256[:12]}..., expected {report.base_config_sha256[:12]}...",
        )
    for tensor in report.tensors:
        if (tensor.status == "edited") != (unit_of_tensor(report.layers, tensor.name) is not None):
            evidence.violate(tensor.name, f"{REPORT_FILE} calls it {tensor.status}, against its own layers")


def _fault(entry: TensorEntry, listed: TensorReport, hashes: Hashes) -> str | None:
    if (entry.dtype, entry.shape) != (listed.dtype, listed.shape):
        return f"{entry.dtype} {list(entry.shape)}, {REPORT_FILE} says {listed.dtype} {list(listed.shape)}"
    if listed.xxh3 is not None and hashes.xxh3 != listed.xxh3:
        return f"its bytes do not have the hash of {REPORT_FILE}"
    if listed.sha256 is not None and hashes.sha256 != listed.sha256:
        return f"its bytes do not have the sha256 of {REPORT_FILE}, though its XXH3: somebody forged it"
    return None


def check_against_request(sources: Sources, recorded: EditRequest, evidence: Established) -> None:
    """Weights and parameters, by layer and by name."""
    asked = request_of(sources.resolved)
    to_the_byte = asked.recipe_sha256 == recorded.recipe_sha256
    what = "is the recipe that was run, to the byte"
    alike = f"asks for the weights and parameters of {REPORT_FILE}"
    faults = [*_other_weights(asked, recorded), *_other_parameters(asked, recorded)]
    for fault in faults:
        evidence.violate(RECIPE_FILE, fault)
    if faults:
        return
    evidence.prove(f"{RECIPE_FILE} {what if to_the_byte else alike}")
    if not to_the_byte:
        evidence.leave_open(
            f"that {RECIPE_FILE} is the text that was run: its sha256 is not the one of {REPORT_FILE}"
            + "".join(f"; {moved}" for moved in _moved(asked, recorded))
        )


def _other_weights(asked: EditRequest, recorded: EditRequest) -> list[str]:
    """Sentences on layers whose weights differ; donors are told apart by their order."""
    then, now = recorded.by_layer(), asked.by_layer()
    layers: dict[str, list[Unit]] = {}
    for layer in sorted_units(then.keys() & now.keys()):
        if len(now[layer]) != len(then[layer]):
            sentence = f"{len(now[layer])} donors, {REPORT_FILE} says {len(then[layer])}"
            layers.setdefault(sentence, []).append(layer)
            continue
        for donor, donor_then in zip(now[layer], then[layer], strict=True):
            if donor.weights != donor_then.weights:
                sentence = f"{donor.model} has weight {donor}, {REPORT_FILE} says {donor_then}"
                layers.setdefault(sentence, []).append(layer)
    return [
        f"in layer{'s' * (len(members) > 1)} {format_layers(members)}: {sentence}"
        for sentence, members in layers.items()
    ]


def _other_parameters(asked: EditRequest, recorded: EditRequest) -> list[str]:
    return [
        f"{name} is {_written(asked, name)}, {REPORT_FILE} says {_written(recorded, name)}"
        for name in sorted((asked.parameters.keys() | recorded.parameters.keys()) - _WHERE_IT_LIES)
        if asked.parameters.get(name) != recorded.parameters.get(name)
    ]


def _moved(asked: EditRequest, recorded: EditRequest) -> Iterator[str]:
    """What lies elsewhere by now: diagnoses, SAEs, donors."""
    pairs = [(_written(asked, name), _written(recorded, name)) for name in sorted(_WHERE_IT_LIES)]
    pairs += zip(_models(asked), _models(recorded), strict=False)
    return (f"{now} stands for {then}" for now, then in pairs if now != then)


def _models(request: EditRequest) -> list[str]:
    return list(dict.fromkeys(donor.model for group in request.weights for donor in group.donors))


def _written(request: EditRequest, name: str) -> str:
    return str(request.parameters[name]) if name in request.parameters else "not given"
