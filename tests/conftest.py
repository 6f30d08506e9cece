"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine does, and whether something was imported for the first time.
settings.register_profile("task2sim", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("task2sim")
