"""What holds for all tests."""

import signal

from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine does, and whether something was imported for the first time.
settings.register_profile("task2sim", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("task2sim")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and whatever the tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
