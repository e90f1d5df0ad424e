"""From a snapshot to the size of every pool: pure functions, each naming the rule it keeps."""
