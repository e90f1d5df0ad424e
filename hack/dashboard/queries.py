"""What the queries of all rows are made of.

Gauges of the operator are the highest of all operators, counters their sum: a standby has none, and
the old leader's last values must not be counted beside the new one's.
"""

TASKQUEUE = 'taskqueue_namespace=~"$namespace", taskqueue=~"$taskqueue"'
POOL = f'{TASKQUEUE}, pool=~"$pool"'
BY_TASKQUEUE = "taskqueue_namespace, taskqueue"
BY_POOL = f"{BY_TASKQUEUE}, pool"
BY_QUEUE = f"{BY_POOL}, queue"
NAME = "{{taskqueue_namespace}}/{{taskqueue}}"
POOL_NAME = "{{taskqueue}} {{pool}}"
RATE = "$__rate_interval"


def highest(metric: str, by: str, where: str = POOL) -> str:
    return f"max by ({by}) ({metric}{{{where}}})"


def rate(metric: str, by: str, where: str = POOL) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[{RATE}]))"


def quantile(share: float, metric: str, by: str, where: str = POOL) -> str:
    return f"histogram_quantile({share}, {rate(metric + '_bucket', by + ', le', where)})"


def waiting(by: str, where: str = POOL) -> str:
    """Summed up over queues, once for all operators."""
    return f"sum by ({by}) ({highest('umbel_queue_waiting', BY_QUEUE, where)})"
