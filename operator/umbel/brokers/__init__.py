"""Readers of brokers: one for Redis, one for RabbitMQ, and the listener for workers' heartbeats."""
