"""Palco's benchmarks: every figure next to a peer or to the raw limit, measured in the same run."""
