"""What a run leaves behind for people: a history file, TensorBoard scalars, a figure."""
