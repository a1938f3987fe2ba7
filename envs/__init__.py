"""Tasks: the paper's reasoning tasks, rows of data files, and toys that a table can learn."""
