"""Experiments over the parts of the package: agents on problem sets, methods side by side, tasks and rows checked."""
