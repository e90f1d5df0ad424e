"""What every test is run with."""

from hypothesis import settings

# A busy machine makes any example slow: how long one takes says nothing about the code.
settings.register_profile("umbel", deadline=None)
settings.load_profile("umbel")
