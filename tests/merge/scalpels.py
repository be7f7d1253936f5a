"""Scalpel edits of a scene: through mergekit's kernels, as recipes, and what they moved."""

import torch
import yaml

from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.geometry.scenes import Scene

State = dict[str, torch.Tensor]
LAYERS = "1, 3"


def parameters(scene: Scene, **given: object) -> dict[str, object]:
    return {"layers": LAYERS, "diagnosis": str(scene.diagnosis), "rank": 4} | given


def kernel(scene: Scene, method: str = "sae_scalpel", **given: object) -> State:
    """Both state dicts through mergekit's own ``merge_state_dicts``."""
    from mergekit.merge_methods import merge_state_dicts

    from sae_merge_method.hosts.register import register_merge_methods

    register_merge_methods()
    models = {"base": tiny.load_tensors(scene.base), "donor": tiny.load_tensors(scene.donor)}
    if method == "sae_scalpel":
        given = parameters(scene, **given)
    given = {name: value for name, value in given.items() if value is not None}
    return merge_state_dicts(models, method, base="base", parameters=given)


def raw(scene: Scene, **given: object) -> State:
    return kernel(scene, "sae_stethoscope", layers=LAYERS, **given)


def moved(scene: Scene, state: State) -> State:
    """What was added, in the selected layers."""
    base = tiny.load_tensors(scene.base)
    assert all(tiny.same_bytes(state[name], base[name]) for name in base if decoder_layer(name) not in (1, 3))
    return {name: state[name] - base[name] for name in base if decoder_layer(name) in (1, 3)}


def energy(state: State) -> float:
    return sum(float(tensor.double().square().sum()) for tensor in state.values())


def recipe(scene: Scene, method: str = "sae_scalpel", **given: object) -> str:
    return yaml.safe_dump(
        {
            "merge_method": method,
            "base_model": str(scene.base),
            "models": [{"model": str(scene.donor), "parameters": {"weight": 0.7}}],
            "parameters": given or parameters(scene),
        }
    )
