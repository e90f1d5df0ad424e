"""The operator's settings: defaults, what the environment changes, what it may not."""

import pytest

from umbel.settings import InvalidSettings, Settings, from_environment


def test_an_empty_environment_gives_the_defaults():
    assert from_environment({}) == Settings()
    assert from_environment({"UMBEL_TICK_SECONDS": "", "UMBEL_LOG_LEVEL": ""}) == Settings()


def test_every_variable_is_read():
    settings = from_environment(
        {
            "UMBEL_TICK_SECONDS": "0.5",
            "UMBEL_RUNTIME_IMAGE": "registry.example/runtime:2",
            "UMBEL_RUNTIME_IMAGE_PULL_POLICY": "Never",
            "UMBEL_HTTP_PORT": "9000",
            "UMBEL_WATCH_NAMESPACES": "shop, billing,shop",
            "UMBEL_LOG_LEVEL": "DEBUG",
            "UMBEL_LOG_FORMAT": "json",
        }
    )

    assert settings == Settings(
        tick_seconds=0.5,
        runtime_image="registry.example/runtime:2",
        runtime_image_pull_policy="Never",
        http_port=9000,
        watch_namespaces=("shop", "billing"),
        log_level="DEBUG",
        log_format="json",
    )


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("UMBEL_TICK_SECONDS", "0", "a number from 0.5 to 60"),
        ("UMBEL_TICK_SECONDS", "nan", "a number from 0.5 to 60"),
        ("UMBEL_TICK_SECONDS", "inf", "a number from 0.5 to 60"),
        ("UMBEL_TICK_SECONDS", "2s", "a number from 0.5 to 60"),
        ("UMBEL_HTTP_PORT", "65536", "a whole number from 1 to 65535"),
        ("UMBEL_HTTP_PORT", "8080.5", "a whole number from 1 to 65535"),
        ("UMBEL_LOG_LEVEL", "debug", "one of DEBUG, INFO"),
        ("UMBEL_LOG_FORMAT", "xml", "one of text, json"),
        ("UMBEL_RUNTIME_IMAGE_PULL_POLICY", "Sometimes", "one of Always"),
        ("UMBEL_WATCH_NAMESPACES", "team-*", "names of namespaces, no patterns"),
        ("UMBEL_WATCH_NAMESPACES", "Shop", "names of namespaces, no patterns"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_the_cure(name: str, value: str, cure: str):
    with pytest.raises(InvalidSettings) as refused:
        from_environment({name: value})

    assert name in str(refused.value)
    assert repr(value) in str(refused.value)
    assert cure in str(refused.value)


@pytest.mark.parametrize("text", [",", "shop,", "shop,,billing"])
def test_a_list_with_a_hole_in_it_does_not_become_the_whole_cluster(text: str):
    with pytest.raises(InvalidSettings, match="UMBEL_WATCH_NAMESPACES is ''"):
        from_environment({"UMBEL_WATCH_NAMESPACES": text})


def test_the_circle_stands_still_after_ten_ticks_but_never_before_half_a_minute():
    assert Settings(tick_seconds=2).stands_still_after_seconds == 30
    assert Settings(tick_seconds=60).stands_still_after_seconds == 600


def test_a_broker_that_hangs_is_known_within_two_ticks():
    assert Settings().broker_timeout_seconds < Settings().tick_seconds
