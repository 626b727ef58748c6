"""What carriers are asked to do with a call beside its media: to transfer it, and to end it."""
