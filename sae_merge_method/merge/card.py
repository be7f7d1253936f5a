"""mergekit's own model card for a recipe, without mergekit or the network, the same each time.

The template and its rules are ``mergekit.card``'s; a test holds the two together.
"""

from pathlib import Path

import yaml

from sae_merge_method.edit.plan import EditPlan
from sae_merge_method.merge.kernels import DIRECT_METHODS
from sae_merge_method.model_ids import as_path, parse_model_id

_TEMPLATE = """---
{metadata}
---
# {name}

This is a merge of pre-trained language models created using [mergekit](https://github.com/cg123/mergekit).

## Merge Details
### Merge Method

This model was merged using the {method} merge method using {base} as a base.

### Models Merged

The following models were included in the merge:
{models}

### Configuration

The following YAML configuration was used to produce this model:

```yaml
{source}
```
"""


def card_text(source: str, plan: EditPlan, name: str) -> str:
    """README.md text as mergekit writes it.

    Args:
        source: The recipe's YAML text, shown whole.
        plan: What the recipe means.
        name: Title: the output folder's name.
    """
    models = sorted({as_path(plan.base), *(as_path(donor) for donor in plan.donors)})
    metadata = {
        "base_model": [part for model in models for part in _parts(model) if _on_the_hub(part)],
        "tags": ["mergekit", "merge"],
        "library_name": "transformers",
    }
    return _TEMPLATE.format(
        metadata=yaml.dump(metadata),
        name=name,
        method=_method(plan.merge_method),
        base=_linked(as_path(plan.base)),
        models="\n".join(f"* {_linked(model)}" for model in models if model != as_path(plan.base)),
        source=source,
    )


def _method(name: str) -> str:
    if name in DIRECT_METHODS:
        return f"[{DIRECT_METHODS[name].title}]({DIRECT_METHODS[name].link})"
    from mergekit.card import method_md

    from sae_merge_method.hosts import register_merge_methods

    register_merge_methods()
    text: str = method_md(name)
    return text


def _parts(model: str) -> list[str]:
    """Paths of a model and its adapter, without revisions."""
    found = parse_model_id(model)
    return [found.path] + ([found.lora.partition("@")[0]] if found.lora else [])


def _on_the_hub(path: str) -> bool:
    """mergekit's rule, but for what exists here: that is taken as local without asking the Hub."""
    return path[0] not in "/~" and path.count("/") <= 1 and not Path(path).exists()


def _linked(model: str) -> str:
    return " + ".join(
        f"[{path}](https://huggingface.co/{path})" if _on_the_hub(path) else path for path in _parts(model)
    )
