"""Several agents at work on one task, in a fixed form: in a row, side by side, in a group, or after a plan."""
