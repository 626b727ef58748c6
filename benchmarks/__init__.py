"""What a call costs: a load generator, a bare echo as the floor, and the same agent on Antiphon and its peers."""
