from styles.namespaced_settings import *  # noqa: F403

SECRET_KEY = "for this test alone"
USE_TZ = True
INSTALLED_APPS = ["styles.orders"]
