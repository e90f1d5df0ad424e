"""A TaskQueue as its user wrote it: parsed once, every fault at once, frozen afterwards.

Pure: no clock, no I/O. Nothing past this package sees a raw dictionary of a TaskQueue.
"""
