"""The servers that the other tests rely on."""

import pytest
from tests.integration.servers import RabbitMQServer, RedisServer

pytestmark = pytest.mark.integration


def test_a_stopped_redis_comes_back_on_the_same_port_and_empty(own_redis):
    server = own_redis()
    port = server.port
    assert server._answers()
    server.stop()
    with pytest.raises(OSError, match="refused"):
        server._answers()
    server.start()
    assert server.port == port
    assert server._answers()


def test_rabbitmq_answers_on_its_own_ports(rabbitmq_server: RabbitMQServer):
    assert rabbitmq_server.api("/api/queues") == 200


def test_redis_gives_urls_of_its_databases(redis_server: RedisServer):
    assert redis_server.url(3) == f"redis://127.0.0.1:{redis_server.port}/3"
