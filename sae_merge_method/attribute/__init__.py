"""How much of a donor's gain and damage lies in which tensor, part and layer of its task vector."""
