"""What a trial says: its artifacts read, held against each other, and drawn as one page."""
