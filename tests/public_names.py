"""Public names whose modules are still to come."""

NOT_YET = frozenset({"benchmark"})  # to be emptied
