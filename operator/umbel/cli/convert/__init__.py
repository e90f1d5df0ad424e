"""`umbel convert`: a TaskQueue from what people run today."""
