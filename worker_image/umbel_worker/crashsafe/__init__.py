"""Consuming from Redis such that a crash or a lost connection neither loses nor repeats a task.

Stock kombu takes a message off its list with one command and records it as taken with another, so
a worker killed in between loses it; a dead worker's messages come back after the visibility
timeout; a task longer than that runs twice; and every task that runs while the connection is lost
runs once more. What is here replaces, for Redis and Sentinel brokers:

    scripts   the steps that Redis carries out as one
    channel   taking a message and recording it as held, over all queues and priorities, as one step
    poller    looking at each channel at each turn of the event loop
    waiting   being told that there is something to take
    qos       acknowledging and handing back, as long as the message is still ours
    ledger    what this process is and holds: the one who talks to Redis for the others
    renewal   the thread that keeps what is held from being taken for abandoned
    loss      what still runs while a connection is lost stays held
    install   puts all that into kombu, or says why it does not

`umbel_worker.redis_contract` has the keys, and how others put a dead worker's messages back.
docs/redis.md has the guarantees, their limits and the figures.
"""
