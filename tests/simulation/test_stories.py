"""Stories that the circle must end well, told in virtual time."""

from tests.builders import BROKER_URL, a_body, a_pool_body, a_secret, a_short_pool_body
from tests.simulation.world import TICK, World


async def test_100_tasks_at_an_empty_long_queue_take_one_write_from_0_to_10_in_the_first_turn():
    world = World(a_body())
    world.broker.put("reports", 100)

    await world.turn()

    assert world.cluster.scales == [("default", "shop-long", 10)]
    assert world.status()["pools"][0]["reason"] == "MaxReplicas"


async def test_100_tasks_at_a_pool_that_stands_at_0_are_answered_in_the_next_turn():
    world = World(a_body())
    await world.advance(120)
    assert world.cluster.scales == []

    world.broker.put("reports", 100)
    await world.turn()

    assert world.cluster.scales == [("default", "shop-long", 10)]


async def test_work_done_goes_back_to_0_after_the_window_in_one_write():
    world = World(a_body(), runtime_seconds=20)
    world.broker.put("reports", 10)
    await world.advance(40)
    assert (world.size("shop-long"), world.done) == (10, 10)

    await world.advance(44)
    assert world.size("shop-long") == 10
    await world.advance(8)

    assert world.sizes_written("shop-long") == [10, 0]
    assert world.stopped_busy == []
    assert world.pods == []


async def test_a_long_batch_is_worked_off_and_no_busy_pod_is_stopped():
    world = World(a_body(), runtime_seconds=30)
    world.broker.put("reports", 100)

    await world.advance(700)

    assert world.done == 100
    assert world.sizes_written("shop-long") == [10, 0]
    assert world.stopped_busy == []


async def test_a_broker_away_for_30_s_under_load_holds_sizes_and_is_named_at_once():
    world = World(a_body(), runtime_seconds=60)
    world.broker.put("reports", 5)
    await world.advance(20)
    written = list(world.cluster.scales)

    world.broker.hang(BROKER_URL)
    await world.turn()
    assert world.condition("BrokerReachable") == "False"
    assert world.condition("Ready") == "False"
    assert "backlog" not in world.status()
    await world.advance(30)
    assert world.cluster.scales == written
    assert world.status()["pools"][0]["reason"] == "BrokerUnavailable"

    world.broker.failure = None
    await world.advance(TICK)
    assert world.condition("BrokerReachable") == "True"
    assert world.condition("Ready") == "True"
    assert world.cluster.scales == written
    assert [r for r in world.reasons() if r in ("Timeout", "BrokerReachable")] == [
        "Timeout",
        "BrokerReachable",
    ]


async def test_an_operator_that_restarts_while_tasks_run_writes_no_size():
    world = World(a_body(), runtime_seconds=200)
    world.broker.put("reports", 7)
    await world.advance(60)
    written = list(world.cluster.scales)
    versions = {n: world.cluster.object("Deployment", n)["metadata"] for n in ["shop-long"]}

    world.start_operator()
    await world.turn()
    await world.turn()

    assert world.cluster.scales == written == [("default", "shop-long", 7)]
    assert world.cluster.object("Deployment", "shop-long")["metadata"] == versions["shop-long"]
    assert world.running() == {"shop": 7}


async def test_an_operator_that_restarts_after_the_work_is_done_waits_out_the_window():
    world = World(a_body(), runtime_seconds=10)
    world.broker.put("reports", 7)
    await world.advance(30)
    world.start_operator()

    await world.advance(58)
    assert world.size("shop-long") == 7
    await world.advance(10)

    assert world.sizes_written("shop-long") == [7, 0]


async def test_a_taskqueue_is_left_alone_until_its_namespace_could_be_listed():
    billing = a_body(namespace="billing", uid="uid-in-billing")
    world = World(a_body(), billing, namespaces=("default", "billing"))
    world.cluster.put(a_secret(namespace="billing"))
    world.cluster.forbidden = {"billing"}

    await world.advance(10)  # the watches tell of it all the same
    assert ("billing", "shop") in world.circle.cache.taskqueues
    assert world.tended() == {"default"}

    world.cluster.forbidden = set()
    await world.advance(20)
    assert world.tended() == {"default", "billing"}
    assert world.cluster.object("Deployment", "shop-long", "billing")


async def test_a_namespace_that_loses_its_rights_does_not_hold_up_another():
    billing = a_body(namespace="billing", uid="uid-in-billing")
    world = World(a_body(), billing, namespaces=("default", "billing"))
    world.cluster.put(a_secret(namespace="billing"))
    await world.advance(10)
    world.cluster.forbidden = {"billing"}
    world.start_operator()  # what the last one knew is gone

    world.broker.put("reports", 7)
    await world.advance(4)

    assert world.size("shop-long") > 0
    assert world.tended() == {"default"}


async def test_three_times_more_than_the_pools_can_do_is_told_within_three_ticks():
    world = World(a_body(), runtime_seconds=10)  # 10 slots: 1 task/s
    world.broker.put("reports", 10)
    await world.advance(60)
    assert world.condition("KeepingUp") == "True"

    for _ in range(3):
        world.broker.put("reports", 6)
        await world.advance(TICK)
    assert world.condition("KeepingUp") == "False"
    (told,) = [c["message"] for c in world.status()["conditions"] if c["type"] == "KeepingUp"]
    assert told.startswith("pool long: 3 tasks/s arrive; with tasks of 10 s, 10 slots")

    await world.advance(60)
    assert world.condition("KeepingUp") == "True"


async def test_an_invalid_taskqueue_disturbs_no_other():
    wrong = a_body("wrong", app="not/a/module")
    world = World(wrong, a_body())
    world.broker.put("reports", 3)

    await world.turn()

    assert world.size("shop-long") == 3
    assert world.condition("Ready", "wrong") == "False"
    assert (
        "spec.app"
        in world.cluster.object("TaskQueue", "wrong")["status"]["conditions"][0]["message"]
    )
    assert world.condition("Ready") == "True"
    assert world.errors("turn") == 0


async def test_a_taskqueue_without_its_secret_disturbs_no_other():
    lost = a_body("lost", broker={"urlSecretRef": {"name": "nobody", "key": "url"}})
    world = World(lost, a_body())
    world.broker.put("reports", 3)

    await world.turn()

    assert world.size("shop-long") == 3
    assert world.condition("BrokerReachable", "lost") == "False"
    world.cluster.put(a_secret("nobody"))
    await world.advance(TICK)
    assert world.condition("BrokerReachable", "lost") == "True"


async def test_an_api_server_away_for_a_while_holds_nothing_up_afterwards():
    each = {"target": {"type": "Backlog", "tasksPerReplica": 1}}
    world = World(a_body(pools=[a_pool_body(scaling=each)]), runtime_seconds=30)
    world.broker.put("reports", 2)
    await world.advance(20)
    world.api_goes_away()
    world.broker.put("reports", 6)
    await world.advance(400)  # beyond the resync and the credentials' keeping

    assert world.circle.standing_still() is None, "killing the operator would help nobody"
    assert world.errors("turn") == 0
    assert world.size("shop-long") == 2

    world.broker.put("reports", 3)
    world.api_comes_back()
    await world.advance(TICK)
    assert world.size("shop-long") == 3
    assert world.condition("Ready") == "True"
    assert "BrokerReachable" not in world.reasons(), "the broker was never away"


async def test_an_api_server_that_is_away_at_the_start_is_waited_for():
    world = World(a_body())
    world.broker.put("reports", 2)
    world.api_goes_away()
    await world.advance(60)
    assert world.circle.not_ready() is not None
    assert world.circle.standing_still() is None

    world.api_comes_back()
    await world.advance(TICK)
    assert world.circle.not_ready() is None
    assert world.size("shop-long") == 2


async def test_a_slow_trickle_does_not_flap():
    world = World(a_body(), runtime_seconds=5)
    for _ in range(30):
        world.broker.put("reports", 1)
        await world.advance(20)

    assert world.sizes_written("shop-long") == [1]
    await world.advance(90)
    assert world.sizes_written("shop-long") == [1, 0]


async def test_long_tasks_do_not_keep_short_ones_waiting():
    world = World(
        a_body(
            pools=[{"name": "long", "profile": "Long", "queues": ["reports"]}, a_short_pool_body()]
        ),
        runtime_seconds=4,
    )
    world.broker.put("reports", 100)
    await world.turn()
    assert world.size("shop-short") == 1

    world.broker.put("emails", 400)
    await world.turn()

    assert world.size("shop-short") == 10
    await world.advance(200)
    assert world.done == 500
    assert (world.size("shop-long"), world.size("shop-short")) == (0, 1)
    assert world.stopped_busy == []


async def test_many_taskqueues_on_one_broker_cost_one_read_a_turn():
    names = [f"shop-{number}" for number in range(20)]
    world = World(*(a_body(name) for name in names))

    await world.turn()
    await world.turn()

    assert len(world.broker.reads) == 2
    assert world.broker.open_readers == 1
    assert world.broker.open_listeners == 1


async def test_a_deleted_taskqueue_is_let_go():
    world = World(a_body())
    await world.turn()
    assert world.broker.open_readers == 1

    world.cluster.remove("TaskQueue", "default", "shop")
    await world.advance(10)

    assert world.cluster.names("Deployment") == []
    assert world.broker.open_readers == 0
    assert world.errors("turn") == 0


async def test_a_steady_state_sends_nothing_to_the_api():
    world = World(a_body())
    await world.advance(120)
    world.cluster.requests.clear()

    await world.advance(28)

    writes = [one for one in world.cluster.requests if one[0] not in ("get", "list")]
    assert writes == []


async def test_a_broker_that_is_away_from_the_start_costs_a_status_every_few_seconds_only():
    world = World(a_body())
    world.broker.hang(BROKER_URL)
    await world.advance(60)
    world.cluster.requests.clear()

    await world.advance(60)

    statuses = [request for request in world.cluster.requests if request[0] == "apply_status"]
    assert len(statuses) <= 60 / 5
