"""From a snapshot to the size of every pool: pure functions of their arguments, each naming its rule."""
