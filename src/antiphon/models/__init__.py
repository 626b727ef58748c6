"""What hears, thinks and speaks: one folder a role, in each a contract, its providers, and a scripted stand-in."""
