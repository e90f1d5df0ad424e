"""Rate limits that hold over all pods of an application (rule R)."""
