"""An experiment's own report, taken into a card with its headings one level down.

What only makes sense beside the experiment's folder, the commands on its files, is left out.
"""

import re
from pathlib import Path

from sae_merge_method.artifacts.experiment import BY_HAND, TABLE_FILE
from sae_merge_method.errors import ArtifactError
from sae_merge_method.markdown import section

_HEADING = re.compile(r"^(#{1,5}) ", re.MULTILINE)
_BY_HAND = re.compile(rf"^## {BY_HAND}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def experiment_section(path: Path) -> str:
    """The report of an experiment's folder, or of the Markdown file itself.

    Raises:
        ArtifactError: There is none.
    """
    found = path / TABLE_FILE if path.is_dir() else path
    if not found.is_file():
        raise ArtifactError(f"expected an experiment's folder with {TABLE_FILE}, or such a file, at {path}")
    try:
        text = found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read the experiment's report {found}: {error}") from error
    body = _BY_HAND.sub("", re.sub(r"\A\s*# .*\n", "", text))  # without its title: the section has one
    return section("What else was tried", _HEADING.sub(r"#\1 ", body).strip())
