"""Policies and learners; torch is needed only below `neural` and `llm`."""
