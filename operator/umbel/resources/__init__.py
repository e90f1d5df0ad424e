"""Kubernetes objects as functions of a TaskQueue: one file an object, ready to be applied."""
