"""The parts of `benchmarks/gate.py`: draws of verdicts, the gate over them, and a module per table."""
