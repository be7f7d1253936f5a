"""A merged folder whose models are called otherwise."""

from pathlib import Path


def rename_models(out: Path, base: str, donor: str) -> None:
    """Let a merged folder's recipe name other models."""
    config = out / "mergekit_config.yml"
    lines = config.read_text().splitlines()
    named = {"base_model:": f"base_model: {base}", "  - model:": f"  - model: {donor}"}
    lines = [next((new for old, new in named.items() if line.startswith(old)), line) for line in lines]
    config.write_text("\n".join(lines) + "\n")
