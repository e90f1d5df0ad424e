"""Measurements on a real cluster of what the README claims; `python -m benchmarks --help`."""
