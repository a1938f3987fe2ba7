"""MT-GRPO inside other people's trainers."""
