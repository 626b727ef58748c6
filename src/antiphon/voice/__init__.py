"""Talks with a Realtime service by microphone and loudspeaker: interruptions, summaries, facts and functions."""
