"""Agents: who they are, what they may do, and the loop that turns a conversation into text and tool calls."""
