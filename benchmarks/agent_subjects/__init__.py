"""The agent loops under test, one library a file; each runs in a process of its own, where its packages are."""
