"""Intervals, tests and power. No knowledge of models or pages; used as modules (`intervals.wilson`)."""
