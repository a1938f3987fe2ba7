"""Behind `train_deepspeed`: what ZeRO shares out, how ranks find each other, where AdamW's state lies."""
