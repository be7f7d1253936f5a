"""Everything between a merged folder and other people: its card, its recipe on the Hub, its rebuilding."""
