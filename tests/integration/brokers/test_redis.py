"""Redis as kombu uses it: priorities, prefixes, bindings, and whose the held messages are."""

import json
import shutil
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import kombu
import pytest
import redis
from tests.integration.brokers.support import LAYOUT, failure, reading, redis_reader
from tests.integration.servers import RedisServer, free_port
from tests.waiting import eventually, monotonic

from umbel.autoscaling.snapshot import QueueCounts
from umbel.brokers import redis as reader_module

pytestmark = pytest.mark.integration

PASSWORD = "p@ss/word%"


@pytest.fixture
def server(redis_server: RedisServer) -> RedisServer:
    """The run's Redis, empty."""
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    return redis_server


class App:
    """A kombu application: sends, takes, and keeps what it took."""

    def __init__(self, url: str, **transport_options: object) -> None:
        self.connection = kombu.Connection(url, transport_options=transport_options)
        self.channel = self.connection.channel()
        self.held: list[kombu.Message] = []

    def declare(self, queue: str, exchange: kombu.Exchange | None = None, key: str = "") -> None:
        where = exchange or kombu.Exchange("")
        kombu.Queue(queue, where, routing_key=key or queue, channel=self.channel).declare()

    def send(self, key: str, number: int = 1, body: str = "x", **options: object) -> None:
        producer = kombu.Producer(self.channel)
        for _ in range(number):
            producer.publish({"task": body}, routing_key=key, **options)

    def take(self, queue: str, number: int = 1) -> None:
        for _ in range(number):
            message = self.channel.basic_get(queue)
            assert message is not None
            self.held.append(message)

    def acknowledge(self) -> None:
        while self.held:
            self.held.pop().ack()

    def close(self) -> None:
        self.acknowledge()
        self.connection.release()


async def test_every_priority_of_a_queue_waits(server: RedisServer):
    app = App(server.url())
    for priority in range(10):
        app.send("emails", priority=priority)
    reader = redis_reader(server.url())
    assert reading(await reader.read(["emails"])).queues["emails"].waiting == 10
    await reader.close()
    app.close()


@pytest.mark.parametrize("steps", [(0,), (0, 5), (1, 5), (0, 3, 6, 9)])
async def test_own_priority_steps_and_separator_are_those_of_the_application(
    server: RedisServer, steps: tuple[int, ...]
):
    app = App(server.url(), priority_steps=steps, sep=":")
    for priority in range(10):
        app.send("emails", priority=priority)
    layout = replace(LAYOUT, priority_steps=steps, separator=":")
    reader = redis_reader(server.url(), layout)
    assert reading(await reader.read(["emails"])).queues["emails"].waiting == 10
    await reader.close()
    app.close()


async def test_a_key_prefix_keeps_two_applications_apart(server: RedisServer):
    ours, theirs = App(server.url(), global_keyprefix="ours:"), App(server.url())
    exchange = kombu.Exchange("shop", type="direct")
    ours.declare("emails", exchange, "mail")
    ours.send("mail", 3, exchange="shop")
    ours.take("emails", 2)
    theirs.send("emails", 5)
    theirs.take("emails", 1)
    reader = redis_reader(server.url(), replace(LAYOUT, key_prefix="ours:"))
    result = reading(await reader.read(["emails"]))
    assert result.queues["emails"] == QueueCounts(waiting=1, unacknowledged=2)
    assert result.unattributed == 0
    await reader.close()
    ours.close()
    theirs.close()


async def test_held_messages_are_told_apart_by_queue_whatever_the_exchange(server: RedisServer):
    app = App(server.url())
    direct, topic = kombu.Exchange("shop", type="direct"), kombu.Exchange("news", type="topic")
    app.declare("emails", direct, "mail")
    app.declare("reports", topic, "report.#")
    app.declare("foreign", topic, "x.*")
    app.send("mail", 2, exchange="shop")
    app.send("report.daily.eu", 3, exchange="news")
    app.send("x.y", 4, exchange="news")
    app.send("video", 1)
    for queue, number in (("emails", 2), ("reports", 3), ("foreign", 4), ("video", 1)):
        app.take(queue, number)
    reader = redis_reader(server.url())
    result = reading(await reader.read(["emails", "reports", "video"]))
    held = {queue: counts.unacknowledged for queue, counts in result.queues.items()}
    assert held == {"emails": 2, "reports": 3, "video": 1}
    assert result.unattributed == 0, "those of `foreign` are somebody else's"
    app.acknowledge()
    result = reading(await reader.read(["emails", "reports", "video"]))
    assert {counts.unacknowledged for counts in result.queues.values()} == {0}
    await reader.close()
    app.close()


async def test_a_copy_that_may_be_of_either_queue_is_unattributed(server: RedisServer):
    app = App(server.url())
    topic = kombu.Exchange("news", type="topic")
    app.declare("emails", topic, "news.*")
    app.declare("reports", topic, "news.eu")
    app.send("news.eu", 1, exchange="news")
    app.take("emails")
    reader = redis_reader(server.url())
    result = reading(await reader.read(["emails", "reports"]))
    assert result.unattributed == 1
    assert result.queues["emails"] == QueueCounts(waiting=0, unacknowledged=0)
    await reader.close()
    app.close()


def _hold(server: RedisServer, number: int, body_bytes: int, queue: str = "emails") -> None:
    message = {"body": "x" * body_bytes, "properties": {"delivery_tag": "t"}}
    with redis.Redis(port=server.port) as client, client.pipeline() as pipe:
        for _ in range(number):
            pipe.hset("unacked", str(uuid.uuid4()), json.dumps([message, "", queue]))
        pipe.execute()


async def test_5000_held_messages_of_10_kb_are_known_after_three_reads_and_cheap_after(
    server: RedisServer, measured
):
    _hold(server, 5_000, 10_000)
    reader = redis_reader(server.url())
    for known in (2_000, 4_000, 5_000):
        result = reading(await reader.read(["emails"]))
        assert result.queues["emails"].unacknowledged == known
        assert result.unattributed == 5_000 - known
    with redis.Redis(port=server.port) as client:
        before = client.info("stats")["total_net_output_bytes"]
        started = monotonic()
        for _ in range(10):
            await reader.read(["emails"])
        seconds = (monotonic() - started) / 10
        sent = (client.info("stats")["total_net_output_bytes"] - before) / 10
    measured("milliseconds per read", round(seconds * 1e3, 1))
    measured("bytes per read", int(sent))
    assert sent < 300_000, "the tags travel, never the bodies (50 MB)"
    assert seconds < 0.3
    await reader.close()


async def test_large_bodies_do_not_hold_redis_up(server: RedisServer):
    _hold(server, 30, 3_000_000)
    reader = redis_reader(server.url())
    known, costs = 0, []
    for _ in range(30):
        before = _worked_seconds(server)
        known = reading(await reader.read(["emails"])).queues["emails"].unacknowledged or 0
        costs.append(_worked_seconds(server) - before)
        if known == 30:
            break
    await reader.close()
    assert known == 30
    assert max(costs) < 0.1


def _worked_seconds(server: RedisServer) -> float:
    """Of the one thread that serves everybody; its slow log also counts what others compute."""
    with redis.Redis(port=server.port) as client:
        times = client.info("cpu")
    return float(times["used_cpu_user_main_thread"] + times["used_cpu_sys_main_thread"])


async def test_too_many_held_messages_are_counted_but_not_told_apart(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reader_module, "MAX_HELD", 10)
    reader = redis_reader(server.url())
    _hold(server, 10, 10)
    assert reading(await reader.read(["emails"])).queues["emails"].unacknowledged == 10
    _hold(server, 1, 10)
    result = reading(await reader.read(["emails"]))
    assert result.unattributed == 11
    await reader.close()


async def test_a_wrong_password_is_told_without_being_shown(own_redis):
    server = own_redis(password=PASSWORD)
    reader = redis_reader(f"redis://:wr0ng@127.0.0.1:{server.port}/0")
    told = failure(await reader.read(["emails"]))
    assert told.reason == "AuthenticationFailed"
    assert f"127.0.0.1:{server.port}" in told.message
    assert "wr0ng" not in told.message
    await reader.close()
    without = redis_reader(f"redis://127.0.0.1:{server.port}/0")
    assert failure(await without.read(["emails"])).reason == "AuthenticationFailed"
    await without.close()
    right = redis_reader(server.url())
    assert reading(await right.read(["emails"])).queues["emails"].waiting == 0
    await right.close()


async def test_a_redis_that_comes_back_is_read_at_once(own_redis):
    server = own_redis()
    reader = redis_reader(server.url())
    reading(await reader.read(["emails"]))
    server.stop()
    for _ in range(2):
        told = failure(await reader.read(["emails"]))
        assert told.reason == "Unreachable"
        assert f"127.0.0.1:{server.port}" in told.message
    server.start()
    App(server.url()).send("emails", 3)
    assert reading(await reader.read(["emails"])).queues["emails"].waiting == 3
    await reader.close()


async def test_a_redis_restarted_between_two_reads_is_no_failure(own_redis):
    server = own_redis()
    reader = redis_reader(server.url())
    reading(await reader.read(["emails"]))
    server.stop()
    server.start()
    reading(await reader.read(["emails"]))
    await reader.close()


async def test_a_hung_redis_is_given_up_in_time_and_its_late_answer_is_not_believed(own_redis):
    server = own_redis()
    app = App(server.url())
    app.send("emails", 7)
    reader = redis_reader(server.url())
    reading(await reader.read(["reports"]))
    server.pause()
    started = monotonic()
    told = failure(await reader.read(["reports"]))
    seconds = monotonic() - started
    server.resume()
    assert told.reason == "Timeout"
    assert seconds < 2.0
    assert reading(await reader.read(["emails"])).queues["emails"].waiting == 7
    await reader.close()
    app.close()


@pytest.mark.parametrize("commands", ["+eval +@read", "+@read"])
async def test_without_the_right_to_run_scripts_held_messages_are_still_told_apart(
    own_redis, commands: str
):
    server = own_redis()
    _allow(server, commands)
    app = App(server.url())
    app.send("emails", 3)
    app.take("emails", 2)
    reader = redis_reader(f"redis://reader:readerpw@127.0.0.1:{server.port}/0")
    for _ in range(2):
        result = reading(await reader.read(["emails"]))
        assert result.queues["emails"] == QueueCounts(waiting=1, unacknowledged=2)
    await reader.close()
    app.close()


async def test_without_the_right_to_read_the_user_learns_which_rights_are_missing(own_redis):
    server = own_redis()
    _allow(server, "")
    reader = redis_reader(f"redis://reader:readerpw@127.0.0.1:{server.port}/0")
    told = failure(await reader.read(["emails"]))
    assert told.reason == "Forbidden"
    assert "+llen" in told.message
    await reader.close()


def _allow(server: RedisServer, commands: str) -> None:
    with redis.Redis(port=server.port) as client:
        rules = f"on >readerpw ~* -@all +ping +client +hello +select {commands}"
        client.execute_command("ACL", "SETUSER", "reader", *rules.split())


async def test_a_queue_whose_name_is_another_kind_of_key_is_told(server: RedisServer):
    with redis.Redis(port=server.port) as client:
        client.set("emails", "text")
    reader = redis_reader(server.url())
    told = failure(await reader.read(["emails"]))
    assert told.reason == "Refused"
    assert "WRONGTYPE" in told.message
    await reader.close()


async def test_one_connection_serves_every_read(server: RedisServer):
    with redis.Redis(port=server.port) as client:
        others = {c["id"] for c in client.client_list()}  # kombu's, of other tests
        reader = redis_reader(server.url())
        await reader.read(["emails"])
        before = client.info("stats")["total_connections_received"]
        for _ in range(20):
            await reader.read(["emails", "reports"])
        assert client.info("stats")["total_connections_received"] == before
        assert len({c["id"] for c in client.client_list()} - others) == 1
        await reader.close()

        async def its_clients() -> int:
            return len({c["id"] for c in client.client_list()} - others)

        await eventually("it has closed its own", its_clients, lambda number: number == 0)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """(certificate, key) of nobody's authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    files = (str(tmp_path / "cert"), str(tmp_path / "key"))
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command = [*request.split(), "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


async def test_tls_is_spoken_and_the_certificate_checked(own_redis, certificate: tuple[str, str]):
    port = free_port()
    files = ["--tls-cert-file", certificate[0], "--tls-key-file", certificate[1]]
    own_redis("--tls-port", str(port), *files, "--tls-auth-clients", "no", password=PASSWORD)
    url = f"rediss://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0"
    checked = redis_reader(url)
    told = failure(await checked.read(["emails"]))
    assert told.reason == "Unreachable"
    assert "certificate" in told.message.lower()
    await checked.close()
    unchecked = redis_reader(f"{url}?ssl_cert_reqs=none")
    assert reading(await unchecked.read(["emails"])).queues["emails"].waiting == 0
    await unchecked.close()
