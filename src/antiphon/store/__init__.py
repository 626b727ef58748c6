"""What outlives a call: its log and its recording."""
