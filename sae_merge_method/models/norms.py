"""What the norm before a tensor that reads the residual stream multiplies it by, dimension by dimension.

Such a tensor never sees the stream itself: it sees the stream over its length, times this gain. Which norm
stands before which tensor is in the table of families; the length is the token's own and left out.
"""

from fnmatch import fnmatchcase

import numpy as np

from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import Floats
from sae_merge_method.models.families import family_of
from sae_merge_method.models.reading import read_tensor
from sae_merge_method.models.tensor_names import LayerPart


def gain_before(checkpoint: Checkpoint, tensor: LayerPart) -> "Floats | None":
    """(d,) the gain of the norm whose output a tensor reads; None where the table does not tell.

    Args:
        checkpoint: Whose norm.
        tensor: Which tensor, one that reads the residual stream.

    Raises:
        ModelError: The norm cannot be read.
    """
    family = family_of(checkpoint.text_model_type)
    if family is None:
        return None
    names = next((rule.norms for rule in family.norms if fnmatchcase(tensor.part, rule.pattern)), ())
    for name in names:
        entry = checkpoint.layer_tensors.get(LayerPart(tensor.layer, name))
        if entry is not None:
            weight = read_tensor(entry)
            adds_one = checkpoint.text_model_type in family.norms_add_one
            return np.add(weight, 1, dtype=weight.dtype) if adds_one else weight
    return None
