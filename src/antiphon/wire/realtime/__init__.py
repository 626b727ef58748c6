"""The Realtime protocol, the server's side: typed client events in, text frames out. No socket, no clock, no task."""
