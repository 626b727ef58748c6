"""The Realtime protocol's door: sockets, short-lived keys, the list of models."""
