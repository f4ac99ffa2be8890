"""Real clients and real processes for the live tests; none of it shares code with the server."""
