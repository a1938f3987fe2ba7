"""Where a run's scalars are shown: TensorBoard, Weights & Biases, Trackio, MLflow; a module each."""
