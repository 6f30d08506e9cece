"""Things built of balls, boxes and rods, rendered by Mitsuba 3."""

from mitsuba_things.simulator import Mitsuba

__all__ = ["Mitsuba"]
