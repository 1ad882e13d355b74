"""Intervals, tests and power. No models and no pages. Used as modules (`intervals.exact`)."""
