"""Policies and dead-letter queues of one virtual host of a RabbitMQ, over its HTTP API.

It looks, and it does what it is told; what should be done is `umbel.resources.rabbitmq_policies`'.
Never deletes a queue that may hold a message.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.rabbitmq_http import ManagementAPI, ManagementFailure
from umbel.brokers.rabbitmq_management import list_names, list_queues
from umbel.resources.rabbitmq_facts import (
    QUORUM,
    Change,
    DeclareQueue,
    DeleteEmptyQueue,
    DeletePolicy,
    Policy,
    PutPolicy,
    QueueFacts,
    RabbitMQFacts,
    Refusal,
)

_RIGHTS: Final = frozenset({"policymaker", "administrator"})
_COLUMNS: Final = "name,type,arguments,policy,operator_policy"
_VERSION = re.compile(r"(\d+)\.(\d+)")
_NOT_FOUND: Final = 404
_BAD_REQUEST: Final = 400


class RabbitMQSteward:
    """`umbel.control.ports.BrokerSteward` of one virtual host."""

    def __init__(self, api: ManagementAPI, place: str, timeout_seconds: float) -> None:
        self._api = api
        self.place = place
        self._timeout = timeout_seconds

    async def look(self, queues: Collection[str]) -> RabbitMQFacts | BrokerFailure:
        """As `BrokerSteward.look`."""
        try:
            return await self._look(queues)
        except ManagementFailure as failure:
            return BrokerFailure(reason=failure.reason, message=str(failure))
        finally:
            await self._api.close()  # it is used every few minutes

    async def change(self, changes: Sequence[Change]) -> Sequence[Refusal]:
        """As `BrokerSteward.change`."""
        try:
            return await self._change_all(changes)
        finally:
            await self._api.close()

    async def _change_all(self, changes: Sequence[Change]) -> Sequence[Refusal]:
        refused: list[Refusal] = []
        for number, change in enumerate(changes):
            try:
                await self._change(change)
            except ManagementFailure as error:
                failure = BrokerFailure(reason=error.reason, message=str(error))
                if error.status is None:  # no answer: the others would not get one either
                    rest = changes[number:]
                    return [*refused, *(Refusal(change=c, failure=failure) for c in rest)]
                refused.append(Refusal(change=change, failure=failure))
        return refused

    async def close(self) -> None:
        """As `BrokerSteward.close`."""
        await self._api.close()

    async def _look(self, queues: Collection[str]) -> RabbitMQFacts:
        who, overview, policies, operator_policies, items = await asyncio.gather(
            self._get("/api/whoami"),
            self._get("/api/overview", {"columns": "rabbitmq_version"}),
            self._get(self._api.of_vhost("policies")),
            self._operator_policies(),
            self._queues(queues),
        )
        try:
            asked = set(queues)
            return RabbitMQFacts(
                version=_version(overview["rabbitmq_version"]),
                may_set_policies=bool(_RIGHTS & _tags(who["tags"])),
                queues={item["name"]: _queue(item) for item in items if item["name"] in asked},
                policies=_policies(policies),
                operator_policies=_policies(operator_policies),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._api.unexpected() from error

    async def _queues(self, names: Collection[str]) -> list[dict[str, Any]]:
        """All of these that exist; a queue taken for missing would lose its policies."""
        existing = await list_names(self._api, names, self._timeout)
        items = await list_queues(self._api, names, _COLUMNS, self._timeout)
        missing = existing - {item["name"] for item in items}
        if missing:
            raise self._api.incomplete(missing)
        return items

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return await self._api.get(path, query or {}, self._timeout)

    async def _operator_policies(self) -> Any:
        """Some installations show them to nobody but administrators: then none is known."""
        try:
            return await self._get(self._api.of_vhost("operator-policies"))
        except ManagementFailure as failure:
            if failure.status is None:
                raise
            return []

    async def _change(self, change: Change) -> None:
        if isinstance(change, DeclareQueue):
            body = {"durable": True, "auto_delete": False, "arguments": dict(change.arguments)}
            await self._api.put(self._api.of_vhost("queues", change.name), body, self._timeout)
        elif isinstance(change, PutPolicy):
            path = self._api.of_vhost("policies", change.policy.name)
            await self._api.put(path, _body(change.policy), self._timeout)
        elif isinstance(change, DeletePolicy):
            await self._delete(self._api.of_vhost("policies", change.name))
        else:
            await self._delete_empty(change)

    async def _delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        try:
            await self._api.delete(path, query or {}, self._timeout)
        except ManagementFailure as failure:
            if failure.status != _NOT_FOUND:
                raise

    async def _delete_empty(self, change: DeleteEmptyQueue) -> None:
        path = self._api.of_vhost("queues", change.name)
        try:
            await self._delete(path, {"if-empty": "true"})
        except ManagementFailure as failure:
            if failure.status != _BAD_REQUEST:
                raise
            if await self._is_empty_quorum_queue(change.name, path):
                await self._delete(path)

    async def _is_empty_quorum_queue(self, name: str, path: str) -> bool:
        """Quorum queues know no `if-empty`, and their counts are seconds old.

        So one is asked for a message as well, which goes back at once. Nothing comes in any more.
        """
        items = await list_queues(self._api, [name], "name,type,messages", self._timeout)
        if not any(
            i["name"] == name and i.get("type") == QUORUM and i.get("messages") == 0 for i in items
        ):
            return False
        ask = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "base64", "truncate": 1}
        return bool(await self._api.post(f"{path}/get", ask, self._timeout) == [])


def _version(text: str) -> tuple[int, int]:
    found = _VERSION.match(text)
    if found is None:
        message = "not a version of RabbitMQ"
        raise ValueError(message)
    return int(found[1]), int(found[2])


def _tags(tags: str | list[str]) -> set[str]:
    """A list; before RabbitMQ 3.9, words between commas."""
    words = tags.split(",") if isinstance(tags, str) else tags
    return {word.strip() for word in words}


def _queue(item: Mapping[str, Any]) -> QueueFacts:
    return QueueFacts(
        type=str(item.get("type", "classic")),
        arguments=dict(item.get("arguments") or {}),
        policy=item.get("policy") or None,
        operator_policy=item.get("operator_policy") or None,
    )


def _policies(items: Sequence[Mapping[str, Any]]) -> dict[str, Policy]:
    found = (
        Policy(
            name=str(item["name"]),
            pattern=str(item["pattern"]),
            priority=int(item["priority"]),
            definition=dict(item["definition"]),
            apply_to=str(item["apply-to"]),
        )
        for item in items
    )
    return {policy.name: policy for policy in found}


def _body(policy: Policy) -> dict[str, object]:
    return {
        "pattern": policy.pattern,
        "priority": policy.priority,
        "definition": dict(policy.definition),
        "apply-to": policy.apply_to,
    }
