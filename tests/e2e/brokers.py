"""Brokers in the cluster, from umbel's examples and images, and what they hold.

The counts are read here by other means than umbel's: whole messages from Redis, RabbitMQ's own
statistics.
"""

import base64
import collections
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import redis
import yaml
from kombu import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.e2e.api import Json, kubectl, now
from tests.e2e.cluster import Cluster, eventually, reachable

APART = 15
"""The database of messages that are yet to appear; Redis has 16 unless told otherwise."""

MANY = 64
"""Databases of the Redis that all tests share; each takes one."""

ROOT = Path(__file__).parents[2]
STOPPED = "/tmp/stopped"
GATED = f'while :; do [ -e {STOPPED} ] || redis-server "$@"; sleep 0.1; done'
"""Redis in a shell that starts it again at once, unless it is to stay away."""
PLAIN = ["--protected-mode", "no", "--dir", "/tmp", "--save", ""]


def documents(path: str) -> list[Json]:
    """The objects of one of the repository's YAML files."""
    return [body for body in yaml.safe_load_all((ROOT / path).read_text()) if body]


def of_kind(bodies: list[Json], kind: str) -> Json:
    return next(body for body in bodies if body["kind"] == kind)


class RedisBroker:
    """One Redis; its databases are brokers of their own."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        *,
        password: str = "",
        databases: int = APART + 1,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._password = password
        self._databases = (number for number in range(1, databases) if number != APART)
        self.address = reachable(cluster, namespace, name, "redis")

    @classmethod
    def example(cls, cluster: Cluster, namespace: str) -> "RedisBroker":
        """The one of examples/quickstart, with more databases."""
        for body in documents("examples/quickstart/redis.yaml"):
            if body["kind"] == "Deployment":
                container = body["spec"]["template"]["spec"]["containers"][0]
                container["args"] = ["--databases", str(MANY)]
            cluster.api.apply(body, namespace)
        cluster.deployed(namespace, "shop-redis")
        return cls(cluster, namespace, "shop-redis", databases=MANY)

    @classmethod
    def private(
        cls, cluster: Cluster, namespace: str, name: str, *, password: str = ""
    ) -> "RedisBroker":
        """One that keeps its data while it is stopped, with a password if there is one."""
        secret = ["--requirepass", password] if password else []
        for body in _private(name, [*PLAIN, "--appendonly", "yes", *secret]):
            cluster.api.apply(body, namespace)
        cluster.deployed(namespace, name)
        return cls(cluster, namespace, name, password=password)

    def database(self) -> "RedisDatabase":
        """A database that nobody uses."""
        return RedisDatabase(self, next(self._databases), self._password)

    def stop(self) -> float:
        """End it, orderly, and keep it away; when it was told to end, seconds of `now()`."""
        self._execute("touch", STOPPED)
        with self._client() as client:
            client.ping()
            told = now()
            client.shutdown(nosave=True)
        return told

    def start(self) -> float:
        """Let it come back with all its data; when it answered, seconds of `now()`."""
        self._execute("rm", STOPPED)
        with self._client() as client:
            eventually("Redis answers again", lambda: _answers(client), bool, 20)
        return now()

    def _client(self) -> redis.Redis:
        host, port = self.address
        once = Retry(NoBackoff(), 0)
        return redis.Redis(host, port, password=self._password or None, retry=once)

    def _execute(self, *command: str) -> None:
        kubectl("-n", self._namespace, "exec", f"deployment/{self._name}", "--", *command)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def _private(name: str, arguments: list[str]) -> list[Json]:
    """The example's Redis under another name, in the shell that can hold it back."""
    bodies = documents("examples/quickstart/redis.yaml")
    service, deployment = of_kind(bodies, "Service"), of_kind(bodies, "Deployment")
    labels = {"app.kubernetes.io/name": name}
    for body in (service, deployment):
        body["metadata"]["name"] = name
    service["spec"]["selector"] = labels
    deployment["spec"]["selector"]["matchLabels"] = labels
    template = deployment["spec"]["template"]
    template["metadata"]["labels"] = labels
    template["spec"]["terminationGracePeriodSeconds"] = 1
    container = template["spec"]["containers"][0]
    container["command"] = ["sh", "-c", GATED, "redis-server", *arguments]
    # a stopped one stays among the Service's endpoints: what is measured is umbel's time alone
    del container["readinessProbe"]
    return [service, deployment]


class RedisDatabase:
    """One database: a broker."""

    name = "redis"

    def __init__(self, server: RedisBroker, number: int, password: str) -> None:
        self.server = server
        self.number = number
        host, port = server.address
        secret = f":{quote(password, safe='')}@" if password else ""
        self.url = f"redis://{secret}{host}:{port}/{number}"
        self.management_url: str | None = None
        self.client = redis.Redis.from_url(self.url)

    def waiting(self, queue: str) -> int:
        """Over the priorities that kombu knows by default."""
        lists = [queue, *(f"{queue}\x06\x16{step}" for step in (3, 6, 9))]
        return sum(self.client.llen(name) for name in lists)

    def held(self, queue: str) -> int:
        """Messages that workers have not acknowledged."""
        held = [json.loads(value) for value in self.client.hvals("unacked")]
        return collections.Counter(message[2] for message in held)[queue]

    def purge(self, *queues: str) -> None:
        self.client.delete(*queues)

    @contextlib.contextmanager
    def together(self, queue: str) -> Iterator[Any]:
        """Where to publish so that all messages of a queue appear at once: a database apart."""
        apart = self.url.rpartition("/")[0] + f"/{APART}"
        with Connection(apart) as connection:
            yield connection
        with redis.Redis.from_url(apart) as client:
            assert client.move(queue, self.number), f"{queue} was not empty"


class RabbitBroker:
    """RabbitMQ; its one virtual host is a broker."""

    name = "rabbitmq"

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        secret = of_kind(documents("examples/rabbitmq/rabbitmq.yaml"), "Secret")["stringData"]
        user, password = secret["username"], secret["password"]
        host, port = reachable(cluster, namespace, "shop-rabbitmq", "amqp")
        _, management = reachable(cluster, namespace, "shop-rabbitmq", "management")
        self.url = f"amqp://{user}:{password}@{host}:{port}//"
        self.management_url: str | None = f"http://{user}:{password}@{host}:{management}"
        self._root = f"http://{host}:{management}/api"
        account = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {account}"}

    @classmethod
    def apply(cls, cluster: Cluster, namespace: str) -> None:
        """Begin to start the one of examples/rabbitmq, as it is."""
        for body in documents("examples/rabbitmq/rabbitmq.yaml"):
            cluster.api.apply(body, namespace)

    @classmethod
    def example(cls, cluster: Cluster, namespace: str) -> "RabbitBroker":
        """The started one."""
        cluster.deployed(namespace, "shop-rabbitmq", seconds=120)
        return cls(cluster, namespace)

    def _ask(self, method: str, path: str) -> Any:
        request = Request(f"{self._root}{path}", method=method, headers=self._headers)
        with urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def _queue(self, queue: str) -> Json:
        try:
            found: Json = self._ask("GET", f"/queues/%2F/{queue}")
        except HTTPError as error:
            error.close()
            return {}
        return found

    def waiting(self, queue: str) -> int:
        return int(self._queue(queue).get("messages_ready", 0))

    def held(self, queue: str) -> int:
        """Messages that workers have not acknowledged."""
        return int(self._queue(queue).get("messages_unacknowledged", 0))

    @contextlib.contextmanager
    def together(self, queue: str) -> Iterator[Any]:
        """Where to publish so that all messages of a queue appear at once: a transaction."""
        with Connection(self.url) as connection, connection.channel() as channel:
            channel.tx_select()
            yield channel
            channel.tx_commit()

    def policies(self) -> dict[str, Json]:
        """Name -> definition, of all."""
        return {found["name"]: found["definition"] for found in self._ask("GET", "/policies/%2F")}

    def queues(self) -> set[str]:
        return {found["name"] for found in self._ask("GET", "/queues/%2F")}

    def purge(self, *queues: str) -> None:
        for queue in queues:
            self._ask("DELETE", f"/queues/%2F/{queue}/contents")


Broker = RedisDatabase | RabbitBroker
