"""Public names whose modules are still to come."""

NOT_YET = frozenset({"TrainConfig", "Trainer"})  # to be emptied
