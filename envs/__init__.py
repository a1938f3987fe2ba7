"""Tasks: the paper's reasoning tasks, rows of data files, and toys that a table can learn."""

if __name__ != "mtgrpo_env.envs":  # a second copy of every class would be no instance of the first
    raise ImportError(f"import mtgrpo_env.envs instead of {__name__}: the folder is a part of that package")
