"""`make demo`: umbel's main job on a real cluster, from nothing to a summary that is checked."""
