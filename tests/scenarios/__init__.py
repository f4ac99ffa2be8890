"""What Palco promises, each promise tried on running processes with real clients."""
