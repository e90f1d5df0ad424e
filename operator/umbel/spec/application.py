"""Reading what all pools have in common: the application, its environment, its broker."""

from collections.abc import Sequence

from umbel.spec import bounds, environment, sentences
from umbel.spec.fields import Section
from umbel.spec.model import (
    Inject,
    Json,
    Policies,
    Protection,
    RabbitMQRules,
    RedisLayout,
    Runtime,
    SecretRef,
)
from umbel.spec.profiles import (
    DEFAULT_COMMAND,
    DEFAULT_MAX_MEMORY_PERCENT,
    DEFAULT_PRIORITY_STEPS,
    DEFAULT_SEPARATOR,
)

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def read_image_pull_policy(spec: Section) -> str | None:
    """`spec.imagePullPolicy`."""
    value = spec.data.get("imagePullPolicy")
    if spec.has("imagePullPolicy") and value not in _PULL_POLICIES:
        spec.fault("imagePullPolicy", f"must be one of {', '.join(_PULL_POLICIES)}")
    return value if isinstance(value, str) else None


def read_image_pull_secrets(spec: Section) -> Sequence[Json]:
    """`spec.imagePullSecrets`."""
    secrets = list(spec.named("imagePullSecrets", bounds.IMAGE_PULL_SECRETS, bounds.OBJECT_NAME))
    for secret in secrets:
        secret.only("name")
        secret.text("name", bounds.OBJECT_NAME)
    return tuple(secret.data for secret in secrets)


def read_env(spec: Section) -> Sequence[Json]:
    """`spec.env`."""
    variables = list(spec.named("env", bounds.ENV, bounds.ENV_NAME))
    for variable in variables:
        _check_variable(variable)
    return tuple(variable.data for variable in variables)


def _check_variable(variable: Section) -> None:
    variable.only("name", "value", "valueFrom")
    variable.text("name", bounds.ENV_NAME)
    variable.optional_text("value", bounds.ENV_VALUE)
    variable.section("valueFrom")
    if variable.has("value") and variable.has("valueFrom"):
        variable.faults.add(variable.path, sentences.ENV_ONE_SOURCE)
    refusal = environment.refusal(variable.data.get("name"))
    if refusal is not None:
        variable.fault("name", refusal)


def read_env_from(spec: Section) -> Sequence[Json]:
    """`spec.envFrom`."""
    sources = list(spec.sections("envFrom", bounds.ENV_FROM))
    for source in sources:
        _check_source(source)
    return tuple(source.data for source in sources)


def _check_source(source: Section) -> None:
    source.only("prefix", "configMapRef", "secretRef")
    source.optional_text("prefix", bounds.ENV_NAME)
    if source.has("configMapRef") == source.has("secretRef"):
        source.faults.add(source.path, sentences.ENV_FROM_ONE_SOURCE)
    for name in ("configMapRef", "secretRef"):
        reference = source.optional_section(name)
        if reference is not None:
            reference.only("name", "optional")
            reference.text("name", bounds.OBJECT_NAME)
            reference.boolean("optional", default=False)


def read_command(spec: Section) -> tuple[str, ...]:
    """`spec.command`."""
    return spec.texts("command", bounds.COMMAND, bounds.COMMAND_WORD) or DEFAULT_COMMAND


def read_secret_ref(section: Section) -> SecretRef:
    """A reference to one key of a Secret."""
    section.only("name", "key")
    return SecretRef(
        name=section.text("name", bounds.SECRET_NAME), key=section.text("key", bounds.SECRET_KEY)
    )


def read_optional_secret_ref(section: Section, name: str) -> SecretRef | None:
    """A reference that may be left out."""
    reference = section.optional_section(name)
    return None if reference is None else read_secret_ref(reference)


def read_result_backend(spec: Section) -> SecretRef | None:
    """`spec.resultBackend`."""
    backend = spec.optional_section("resultBackend")
    if backend is None:
        return None
    backend.only("urlSecretRef")
    return read_secret_ref(backend.section("urlSecretRef", required=True))


def read_crash_safe(section: Section) -> bool:
    """`spec.broker.redis.crashSafe`."""
    return section.boolean("crashSafe", default=True)


def read_redis_layout(section: Section) -> RedisLayout:
    """`spec.broker.redis`, but for `crashSafe`."""
    section.only("keyPrefix", "prioritySteps", "separator", "crashSafe")
    return RedisLayout(
        key_prefix=section.optional_text("keyPrefix", bounds.KEY_PREFIX) or "",
        priority_steps=_priority_steps(section),
        separator=section.optional_text("separator", bounds.SEPARATOR) or DEFAULT_SEPARATOR,
    )


def _priority_steps(section: Section) -> tuple[int, ...]:
    steps = section.integers("prioritySteps", bounds.PRIORITY_STEPS, bounds.PRIORITY_STEP)
    if list(steps) != sorted(set(steps)):
        section.fault("prioritySteps", sentences.PRIORITY_STEPS)
    return steps or DEFAULT_PRIORITY_STEPS


def read_rabbitmq_rules(section: Section) -> RabbitMQRules:
    """`spec.broker.rabbitmq`."""
    section.only("policies", "consumerTimeoutSeconds")
    return RabbitMQRules(
        policies=section.choice("policies", Policies.MANAGED),
        consumer_timeout_seconds=section.optional_integer(
            "consumerTimeoutSeconds", bounds.CONSUMER_TIMEOUT
        ),
    )


def read_protection(section: Section) -> Protection:
    """`spec.broker.protection`."""
    section.only("maxConnections", "maxMemoryPercent", "maxBacklog")
    return Protection(
        max_connections=section.optional_integer("maxConnections", bounds.MAX_CONNECTIONS),
        max_memory_percent=section.integer(
            "maxMemoryPercent", bounds.MAX_MEMORY_PERCENT, DEFAULT_MAX_MEMORY_PERCENT
        ),
        max_backlog=section.optional_integer("maxBacklog", bounds.MAX_BACKLOG),
    )


def read_runtime(section: Section) -> Runtime:
    """`spec.runtime`."""
    section.only("inject", "image")
    runtime = Runtime(
        inject=section.choice("inject", Inject.AUTO),
        image=section.optional_text("image", bounds.IMAGE),
    )
    if runtime.inject is Inject.NONE and section.has("image"):
        section.fault("image", sentences.RUNTIME_IMAGE)
    return runtime
