"""Public names whose modules are still to come."""

NOT_YET = frozenset(())  # to be emptied
