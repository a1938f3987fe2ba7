"""Public names whose modules are still to come."""

NOT_YET = frozenset({"TrainConfig", "Trainer", "benchmark"})  # to be emptied
