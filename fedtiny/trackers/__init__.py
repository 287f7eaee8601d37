"""Programs that show runs while they go on: TensorBoard and MLflow, both optional extras."""
