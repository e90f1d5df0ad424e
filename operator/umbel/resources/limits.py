"""The rate limits of a TaskQueue as its workers take them."""

from umbel.resources.rate_limits import RateLimit, RateLimits
from umbel.spec.model import OnLimiterUnavailable, RateScope, TaskQueueSpec


def rate_limits_of(spec: TaskQueueSpec) -> RateLimits:
    """What the workers of this TaskQueue are to keep."""
    limits = tuple(
        RateLimit(
            task=limit.task,
            count=limit.count,
            seconds=limit.seconds,
            burst=limit.burst,
            shared=limit.scope is RateScope.CLUSTER,
        )
        for limit in spec.rate_limits
    )
    return RateLimits(limits, spec.rate_limiter.on_unavailable is OnLimiterUnavailable.WAIT)
