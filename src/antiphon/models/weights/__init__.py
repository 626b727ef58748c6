"""Where the embedded models' files come from and where they are kept."""
