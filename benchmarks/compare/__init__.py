"""The parts of `benchmarks/environments.py`: one module for each table."""
