"""Pictures drawn small and without words: of most that a test run draws, nobody looks at the pixels.

Drawing was a sixth of what a diagnosis took here, most of it the layout and the glyphs of words. Matplotlib draws
them still, and other data give other bytes. Who looks at pictures has them ``whole``.
"""

import sys
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE = False
"""Whether pictures are drawn as users get them."""
_DPI = 20


def draw_small() -> None:
    """From here on, in this process: to be called before modules of ours take ``picture`` by its name."""
    figures = import_module("sae_merge_method.reports.figure")
    if hasattr(figures.picture, "__wrapped__"):
        return
    whole = figures.picture
    early = [name for name, module in sys.modules.items() if getattr(module, "picture", None) is whole]
    assert early == [figures.__name__], early

    @wraps(whole)
    def picture(figure: "Figure", form: str = "png") -> Any:
        if not WHOLE and form == "png":
            from matplotlib.text import Text

            figure.set_layout_engine(None)
            figure.set_dpi(_DPI)
            for words in figure.findobj(Text):
                words.set_visible(False)
        return whole(figure, form)

    figures.picture = picture
