"""Where a server is reached. Pure."""

from sfu.contract.config_sections import Config


def server_url(config: Config) -> str:
    """Where a client on this machine reaches signalling."""
    address = config.bind_addresses[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, f"[{address}]" if ":" in address else address)  # noqa: S104
    return f"http://{host}:{config.port}"


def public_url(config: Config) -> str:
    """Where people reach it."""
    return config.public_url or server_url(config)
