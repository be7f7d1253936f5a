"""From a merged folder to other people: its model card, and its rebuilding from the card alone."""
