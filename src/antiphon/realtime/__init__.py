"""The client of the Realtime protocol: connects, talks, listens, and comes back with its history after an outage."""
