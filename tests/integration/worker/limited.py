"""Rate limits as the operator leaves them in a Redis, for workers that start."""

from redis import Redis

from umbel_worker.rate_limits import RateLimit, RateLimits, definitions_key

OWNER = "default/shop/2825f919"
"""What the workers' config calls their TaskQueue."""


def leave_limits(url: str, *limits: RateLimit, wait: bool = True) -> None:
    """Leave these, and no others."""
    with Redis.from_url(url) as client:
        client.hset(definitions_key(""), OWNER, RateLimits(limits, wait).to_json())
