"""Palco's media server: sets up, watches and enforces; the native data plane moves every packet."""
