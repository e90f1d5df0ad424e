"""A pool's life in virtual time: the real decision, or somebody else's, beside model workers.

Pure: no clock and no I/O; moments are seconds since the simulation's start, and chance is a
`random.Random` that the caller seeds. The same input gives the same outcome, always.

What is real and what is modelled: `docs/simulate.md`.
"""
