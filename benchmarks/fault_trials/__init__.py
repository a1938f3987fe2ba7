"""Faults done to runs for `benchmarks/faults.py`: a module for each place where they come from."""
