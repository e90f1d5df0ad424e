"""`umbel doctor`: what stands between a TaskQueue and its work."""
