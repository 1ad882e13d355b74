"""Parts of benchmarks/client.py: a fast service and the contenders, each in a separate process."""
