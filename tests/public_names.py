"""Public names whose modules are still to come."""

NOT_YET = frozenset({"Curriculum", "TrainConfig", "Trainer", "benchmark"})  # to be emptied
