"""Other people's WebRTC stacks as clients."""
