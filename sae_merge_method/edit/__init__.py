"""What an edit is, before any tensor is read: the gate, who gives what to which layer, and what must fit."""
