"""Policies and learners; torch is needed only below `neural` and `llm`."""

if __name__ != "mtgrpo_env.agents":  # a second copy of every class would be no instance of the first
    raise ImportError(f"import mtgrpo_env.agents instead of {__name__}: the folder is a part of that package")
