"""Reads brokers: how much waits in each queue, how much is held, and who works on it.

Adapters of `umbel.control.ports`: `factory.KombuBrokers` for the real ones, `fake.FakeBrokers` for
tests and simulation. Nothing here writes to a broker, but for the one event queue on RabbitMQ.
"""
