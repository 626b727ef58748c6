"""The microphone and the loudspeaker of this machine, or files and silence in their place."""
