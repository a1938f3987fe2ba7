"""The two sides of `train_step.py`: our agent and TRL's trainer, on one model and one task."""
