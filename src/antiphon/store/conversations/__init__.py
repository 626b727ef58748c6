"""What keeps conversations: the histories and session stores in memory, in files, in SQL databases and in Redis."""
