"""Parts of benchmarks/batch.py: the contenders, each in a separate process, and the CPU time of child processes."""
