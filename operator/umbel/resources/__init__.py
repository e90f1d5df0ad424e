"""Kubernetes objects as functions of a TaskQueue: one file an object, dictionaries ready to be applied."""
