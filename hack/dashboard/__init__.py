"""The dashboard: `make dashboard` writes it, `make dashboard-picture` records and draws it."""
