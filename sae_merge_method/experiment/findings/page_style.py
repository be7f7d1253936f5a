"""What the experiment's page adds to the pages' common style, and the colours of its z values."""

STYLE = """
body { max-width: 76rem; }
.scroll { overflow: auto; max-height: 44rem; margin: .5rem 0; width: fit-content; }
.scroll { max-width: 100%; } .scroll table { margin: 0; }
.scroll th, .scroll td { padding: .2rem .5rem; }
.scroll thead th { position: sticky; top: 0; background: #fff; box-shadow: inset 0 -1px #999; z-index: 1; }
.scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: #fff; }
.scroll th:first-child { z-index: 2; } .scroll td:first-child { white-space: nowrap; }
.scroll tr.chosen td:first-child { background: #fbeae5; } .purposes td:nth-child(2) { min-width: 16rem; }
ul.claims { list-style: none; padding: 0; }
.claims li { display: grid; grid-template-columns: 6rem 1fr; gap: 0 .8rem; padding: .45rem 0; }
.claims li { border-bottom: 1px solid #ddd; }
.claims p { margin: 0; } .claims .words { color: #555; font-size: .92em; }
.answer { border: 1px solid; border-radius: .2rem; text-align: center; font-size: .85em; font-weight: 600; }
.answer { align-self: start; padding: .1rem .3rem; }
.yes { background: #0b5394; color: #fff; border-color: #0b5394; }
.no { background: #b45309; color: #fff; border-color: #b45309; }
.shown { color: #444; border-color: #888; background: #f2f2f2; }
.tested { color: #666; border: 1px dashed #999; font-weight: 400; }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; } code { overflow-wrap: anywhere; }
@media (max-width: 40rem) { .claims li { grid-template-columns: 1fr; gap: .3rem; } }
@media (max-width: 40rem) { .answer { justify-self: start; } dl { grid-template-columns: 1fr; } }
@media (max-width: 40rem) { dd { margin-bottom: .4rem; } }
@media print { .scroll { max-height: none; overflow: visible; } }
"""

_MOST = 4.0
"""A z from which on the colour no longer deepens."""
_UP = (112, 172, 222)
_DOWN = (236, 148, 74)


def z_colour(z: float) -> str:
    """Blue above 0, orange below, white at 0: told apart by any eye, and dark text stays legible.

    In grey both ends are alike; the sign is in the text.
    """
    depth = min(abs(z) / _MOST, 1.0)
    end = _UP if z > 0 else _DOWN
    return "#" + "".join(f"{round(255 - depth * (255 - channel)):02x}" for channel in end)
