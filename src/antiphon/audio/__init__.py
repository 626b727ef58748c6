"""Sound as numbers: formats, G.711, resampling, WAV, tones, mixing, level. Pure; no I/O loop, no clock."""
