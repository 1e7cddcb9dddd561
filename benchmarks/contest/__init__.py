"""The parts of `benchmarks/engine.py`: the cases, the work that all contenders get, a module per side, the table."""
