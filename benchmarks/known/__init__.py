"""The parts of `benchmarks/known_answers.py`: the adapters, their rows, making and measuring them, the table."""
