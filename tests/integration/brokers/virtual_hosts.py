"""A virtual host of a real RabbitMQ, and accounts in it with more or fewer rights."""

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import amqp
from tests.integration.servers import RabbitMQServer

from umbel.brokers.rabbitmq_http import ManagementAPI
from umbel.brokers.rabbitmq_steward import RabbitMQSteward
from umbel.brokers.url import ManagementURL, parse_broker_url, parse_management_url

TIMEOUT_SECONDS = 3.0
GUEST = "Basic Z3Vlc3Q6Z3Vlc3Q="


class VirtualHost:
    """One for each test; gone with `close`."""

    def __init__(self, server: RabbitMQServer) -> None:
        self.server = server
        self.name = f"v-{uuid.uuid4().hex[:8]}"
        self._users: list[str] = []
        self.hang = server.pause
        self.resume = server.resume
        self.api("PUT", f"/api/vhosts/{self.name}")
        self._allow("guest", ".*")

    def api(self, method: str, path: str, body: object = None) -> Any:
        """As `guest`, who may do everything."""
        request = Request(
            f"http://127.0.0.1:{self.server.management_port}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": GUEST},
        )
        try:
            with urlopen(request, timeout=10) as answer:
                text = answer.read()
        except HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None
        return json.loads(text) if text else None

    def account(self, tags: str, configure: str = ".*") -> str:
        """A new user with these tags.

        Returns:
            Its name, which is its password as well.
        """
        name = f"u-{uuid.uuid4().hex[:8]}"
        self.api("PUT", f"/api/users/{name}", {"password": name, "tags": tags})
        self._users.append(name)
        self._allow(name, configure)
        return name

    def _allow(self, user: str, configure: str) -> None:
        rights = {"configure": configure, "write": ".*", "read": ".*"}
        self.api("PUT", f"/api/permissions/{self.name}/{user}", rights)

    def url(self, user: str = "guest") -> str:
        """Of the broker, for this account."""
        return f"amqp://{user}:{user}@127.0.0.1:{self.server.amqp_port}/{self.name}"

    def management_url(self, user: str = "guest") -> str:
        return f"http://{user}:{user}@127.0.0.1:{self.server.management_port}"

    def steward(self, *, policymaker: bool = True, user: str | None = None) -> RabbitMQSteward:
        """With an account that may set policies and declare every queue, or neither."""
        if user is None:
            user = self.account(
                "policymaker" if policymaker else "management", ".*" if policymaker else ""
            )
        broker = parse_broker_url(self.url(user))
        management: ManagementURL = parse_management_url(self.management_url(user), broker)
        api = ManagementAPI(management, self.name)
        return RabbitMQSteward(api, f"{broker.address}/{self.name}", TIMEOUT_SECONDS)

    def declare(self, queue: str, arguments: Mapping[str, object]) -> None:
        self.api("PUT", self._queue(queue), {"durable": True, "arguments": dict(arguments)})

    def put(self, queue: str, payload: str = "{}") -> None:
        message = {
            "properties": {"delivery_mode": 2},
            "routing_key": queue,
            "payload": payload,
            "payload_encoding": "string",
        }
        answer = self.api("POST", f"/api/exchanges/{self.name}/amq.default/publish", message)
        assert answer == {"routed": True}

    def take(self, queue: str, ackmode: str) -> list[str]:
        """The payload of the next message, acknowledged, rejected or put back."""
        asked = {"count": 1, "ackmode": ackmode, "encoding": "auto"}
        return [m["payload"] for m in self.api("POST", f"{self._queue(queue)}/get", asked)]

    def count(self, queue: str) -> int:
        """Ready messages now, as AMQP tells them."""
        with amqp.Connection(
            f"127.0.0.1:{self.server.amqp_port}", virtual_host=self.name
        ) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).message_count)

    def policies(self) -> dict[str, dict[str, Any]]:
        """Name -> definition, of all."""
        found = self.api("GET", f"/api/policies/{self.name}")
        return {policy["name"]: policy["definition"] for policy in found}

    def queues(self) -> set[str]:
        return {queue["name"] for queue in self.api("GET", f"/api/queues/{self.name}")}

    def _queue(self, name: str) -> str:
        return f"/api/queues/{self.name}/{quote(name, safe='')}"

    def close(self) -> None:
        self.api("DELETE", f"/api/vhosts/{self.name}")
        for user in self._users:
            self.api("DELETE", f"/api/users/{user}")
