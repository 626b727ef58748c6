"""HTTP and WebSocket: wires callers to calls, decides nothing."""
