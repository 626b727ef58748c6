"""Typed functions that a model may call: their schema, their invocation, and the ones that come with Antiphon."""
