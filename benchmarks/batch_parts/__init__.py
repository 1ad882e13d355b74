"""The parts of benchmarks/client.py: a fast service, and the contenders, each run in a process of its own."""
