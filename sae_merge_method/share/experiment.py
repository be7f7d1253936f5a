"""An experiment's own report, taken into a card as it stands, its headings one level down."""

import re
from pathlib import Path

from sae_merge_method.errors import ArtifactError
from sae_merge_method.markdown import section

_REPORTS = ("experiment.md", "demo.md")
_HEADING = re.compile(r"^(#{1,5}) ", re.MULTILINE)


def experiment_section(path: Path) -> str:
    """The report of an experiment's folder, or of the Markdown file itself.

    Raises:
        ArtifactError: There is none.
    """
    places = [path / name for name in _REPORTS] if path.is_dir() else [path]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ArtifactError(f"expected {' or '.join(_REPORTS)} in {path}")
    try:
        text = found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read the experiment's report {found}: {error}") from error
    body = re.sub(r"\A\s*# .*\n", "", text)  # its title: the section has one
    return section("What else was tried", _HEADING.sub(r"#\1 ", body).strip())
