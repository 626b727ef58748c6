"""Calls that one model holds: it hears the caller, thinks and speaks."""
