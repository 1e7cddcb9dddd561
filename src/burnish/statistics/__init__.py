"""Comparison statistics: plain numbers in, plain numbers out. Knows nothing of models, suites or decisions."""
