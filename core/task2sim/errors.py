"""Errors that are meant for a person: one line that says what is wrong, where, and how to mend it."""

from __future__ import annotations


class Task2SimError(Exception):
    """Something a user can mend. The command line prints it as one line and exits with code 2.

    Args:
        message: What is wrong, in one sentence without a full stop.
        place: Where: a file, a file with line and column, a configuration key, or an empty string.
        mend: What to do about it, in one clause, or an empty string.

    Attributes:
        details: More than a person wants to read at first, such as a traceback; may be empty.
    """

    details: str = ""

    def __init__(self, message: str, *, place: str = "", mend: str = "") -> None:
        super().__init__(message, place, mend)
        self.message = message
        self.place = place
        self.mend = mend

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}; {self.mend}" if self.mend else text

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes to the study, so they must survive a round trip by value.
        return (_rebuild, (type(self), self.message, self.place, self.mend, self.details))


def _rebuild(kind: type[Task2SimError], message: str, place: str, mend: str, details: str) -> Task2SimError:
    error = kind(message, place=place, mend=mend)
    error.details = details
    return error


class ConfigError(Task2SimError):
    """A study file, an override or a plugin's configuration is wrong."""


class ParameterError(Task2SimError):
    """A simulation parameter is unknown or its value is out of range."""


class PluginError(Task2SimError):
    """A plugin is missing, broken, incompatible, or raised while it worked."""


class TaskError(Task2SimError):
    """A downstream task can't be loaded or can't be used."""


class StoreError(Task2SimError):
    """The store or a run folder can't be read or written."""
