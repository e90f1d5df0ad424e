"""What kopf tells us, put into the circle's cache. The only importers of kopf; they decide nothing."""
