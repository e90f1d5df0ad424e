from bodies import CONF

globals().update(CONF)
broker_url = "redis://nowhere.invalid"
