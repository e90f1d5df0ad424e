"""Brokers on the cluster, for the benchmarks that need one."""

from tests.e2e.brokers import Broker, RabbitBroker, RedisBroker, RedisDatabase
from tests.e2e.cluster import Cluster

TICK_SECONDS = 2.0
"""Of the operator, as the chart has it."""


def a_broker(cluster: Cluster, broker: str) -> tuple[Broker, RedisDatabase]:
    """The broker asked for, and a Redis database for the tasks' ledger."""
    brokers = cluster.namespace("bench-brokers")
    server = RedisBroker.example(cluster, brokers)
    chosen: Broker = server.database()
    if broker == "rabbitmq":
        RabbitBroker.apply(cluster, brokers)
        chosen = RabbitBroker.example(cluster, brokers)
    return chosen, server.database()
