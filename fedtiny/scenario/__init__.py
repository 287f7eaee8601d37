"""What a scenario can say: the one schema, and how YAML becomes it."""
