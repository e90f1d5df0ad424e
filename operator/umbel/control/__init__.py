"""The circle: read, snapshot, decide, apply, report; once a tick, for every TaskQueue."""
