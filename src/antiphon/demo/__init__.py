"""The demonstration: an agent that answers a clinic's phone, and a recorded caller who phones it."""
