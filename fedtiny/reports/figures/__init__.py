"""One figure per file, each a function of run results that gives a matplotlib Figure."""
