"""Runners: start the member processes of a run, on this machine or on a cluster. Each engine is an optional package."""
