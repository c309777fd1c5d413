"""What all tests share: property tests are not timed, because a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("portbroker", deadline=None)
settings.load_profile("portbroker")
