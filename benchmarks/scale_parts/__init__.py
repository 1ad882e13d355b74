"""Parts of benchmarks/scale.py: throughput with several members, and kills, stops and limits."""
