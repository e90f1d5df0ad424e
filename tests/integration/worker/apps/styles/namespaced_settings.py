from bodies import CONF

globals().update({f"CELERY_{name.upper()}": value for name, value in CONF.items()})
