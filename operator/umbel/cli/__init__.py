"""The command `umbel`."""
