"""What a card is made from beside the merged folder: each field is an option of ``sae-merge card``."""

from sae_merge_method.artifacts.schema import Location, Record


class CardSettings(Record):
    """What a card is made from beside the merged folder: the options of ``sae-merge card``."""

    diagnosis: Location | None = None
    """Diagnosis that chose the layers, folder or file: adds their table and plot."""
    attribution: Location | None = None
    """Attribution of the donor, folder or file: adds what each layer carries of its gain and damage."""
    comparison: Location | None = None
    """comparison.json of the base and this model, or its folder: adds the verdict, and results to the
    metadata."""
    experiment: Location | None = None
    """Folder of an experiment with controls, or its report: adds what else was tried."""
    tune: Location | None = None
    """Folder that sae-merge tune wrote, whose recipe this is: adds how the weights were found, and what they
    were held against."""
    license: str | None = None
    """Licence, by the Hub's identifier; without it, the one that README.md states, else the base's."""
    name: str | None = None
    """The model's name; without it, as README.md's results have it, else repo_id's last part, else the
    folder's."""
    repo_id: str | None = None
    """Where it will be uploaded, OWNER/NAME: for the commands shown."""
    base: str | None = None
    """Hub id of the base, where the recipe names a folder."""
    donor: tuple[str, ...] = ()
    """Hub id of a donor, where the recipe names a folder; one for each donor, in the recipe's order."""
    allow_unmatched: bool = False
    """Take a comparison or an experiment that does not say which checkpoint it was measured on; the card
    says so. One that says that it was another is refused all the same."""
