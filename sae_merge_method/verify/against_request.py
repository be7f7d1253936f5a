"""The recipe in the folder against what ``edit_report.json`` says was asked for when it was run.

Needs neither base nor donor: whoever changed a weight or a parameter of the recipe afterwards is
found by it. Where models and files lie may change without the edit being another; that is said,
and proves nothing either way.
"""

from sae_merge_method.artifacts.edit_report import REPORT_FILE
from sae_merge_method.artifacts.edit_request import EditRequest
from sae_merge_method.edit.request import request_of
from sae_merge_method.layers import format_layers
from sae_merge_method.verify.ledger import Ledger
from sae_merge_method.verify.sources import RECIPE_FILE, Sources

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
    found = request_of(sources.recipe, sources.recipe_text, sources.layers, sources.merged.n_layers)
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
