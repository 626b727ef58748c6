"""Calls over the OpenAI Realtime protocol: one session between a client's events and a ``Call``."""
