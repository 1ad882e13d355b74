"""Thin Prefect tasks: names, retry policies, limits, events and the credentials block around the packages below."""
