"""Plain mergekit in this process: what ``mergekit-yaml`` does with a recipe, and nothing of ours but the methods."""

from pathlib import Path
from typing import Any

from tests import tiny


def plain_mergekit(source: str, out: Path, **options: Any) -> tiny.Tensors:
    """Run a recipe's text as ``mergekit-yaml`` runs it.

    Args:
        source: The recipe.
        out: Folder to write.
        options: mergekit's own, beside ``quiet``.

    Returns:
        The tensors that were written.
    """
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    from sae_merge_method.hosts.register import register_merge_methods

    register_merge_methods()
    config = MergeConfiguration.model_validate(yaml.safe_load(source))
    run_merge(config, str(out), MergeOptions(quiet=True, **options), config_source=source)
    return tiny.load_tensors(out)
