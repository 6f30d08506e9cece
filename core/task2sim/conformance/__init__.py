"""The conformance kit: does a component keep the promises of its kind?

Use it from the command line (``task2sim check simulator:my-sim``), in pytest (`conformance`), or from Python
(`check_component`).
"""

from task2sim.conformance.checks import Check, Outcome
from task2sim.conformance.kinds import checks_of
from task2sim.conformance.pytest_tests import conformance
from task2sim.conformance.running import Report, check_component

__all__ = ["Check", "Outcome", "Report", "check_component", "checks_of", "conformance"]
