"""Faults on demand: their kinds, when they strike, what they do, and scenarios made of them."""
