"""What mkdocs asks as it builds the site: which reports of trials there are, and filled places."""

from generated import filled
from makers import reports_of_trials
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page


def on_config(config: MkDocsConfig) -> None:
    """Put the reports of trials, however many there are, under their heading."""
    (rests,) = [part["What it rests on"] for part in config.nav or () if "What it rests on" in part]
    rests += [f"trials/{report.name}" for report in reports_of_trials()]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill the marked places of a page."""
    try:
        return filled(markdown, alone=True)
    except LookupError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
