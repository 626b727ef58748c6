"""Measures of conversations: what was understood, how fast, how well."""
