"""Policies and dead-letter queues on a real RabbitMQ."""

from collections.abc import Iterator

import pytest
from tests.contract.stewards import StewardContract
from tests.integration.brokers.virtual_hosts import VirtualHost
from tests.integration.servers import RabbitMQServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def vhost(rabbitmq_server: RabbitMQServer) -> Iterator[VirtualHost]:
    vhost = VirtualHost(rabbitmq_server)
    yield vhost
    vhost.close()


class TestRabbitMQ(StewardContract):
    @pytest.fixture
    def vhost(self, vhost: VirtualHost) -> VirtualHost:
        return vhost
