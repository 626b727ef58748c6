"""One live conversation, the heart: who may speak, what was said, what was heard."""
