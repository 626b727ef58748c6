"""Scenarios: agents that work together on a conversation, as a graph.

``antiphon.agents.scenarios.scenario`` is the description in code, ``load`` reads it from files, ``applying`` makes the
agents that work by it, and ``graph`` shows it.
"""
