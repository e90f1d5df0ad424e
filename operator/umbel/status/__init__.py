"""The status of a TaskQueue as a function of what was read and decided. Pure; writes nothing."""
