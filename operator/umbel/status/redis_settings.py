"""What was asked of a broker that Redis cannot do, in sentences with the cure."""

from umbel.spec.model import TaskQueue


def contradictions(queue: TaskQueue) -> tuple[str, ...]:
    """What Redis does against this TaskQueue: a list there has no bound."""
    most = queue.spec.broker.protection.max_backlog
    if most is None:
        return ()
    sentence = (
        f"spec.broker.protection.maxBacklog is {most}, but Redis takes whatever producers send: "
        "remove it, and set maxmemory with maxmemory-policy noeviction on Redis, so that producers "
        "get an error before it is full"
    )
    return (sentence,)
