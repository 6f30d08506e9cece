"""Importing tdw on the versions of Python and setuptools that it was not written for."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from importlib.util import find_spec

from task2sim import PluginError

INSTALL = "pip install 'task2sim[threedworld]'"


def import_tdw() -> None:
    """Make ``from tdw... import`` work afterwards, in this process.

    The FlatBuffers that tdw brings import ``imp``, which Python 3.12 dropped, for one function; a stand-in takes its
    place while they are imported. The librarian imports ``pkg_resources``, which setuptools 82 dropped.

    Raises:
        PluginError: tdw, or what it needs, is not installed or can't be imported.
    """
    if "tdw.flatbuffers.builder" in sys.modules:
        return
    if find_spec("tdw") is None or find_spec("zmq") is None:
        raise PluginError("ThreeDWorld's Python package is not installed", mend=INSTALL)
    if find_spec("pkg_resources") is None:
        raise PluginError("ThreeDWorld needs a setuptools older than 81", mend=f"{INSTALL} again")
    stand_in = None
    if "imp" not in sys.modules and find_spec("imp") is None:
        stand_in = types.ModuleType("imp", "What tdw needs of the module that Python 3.12 dropped.")
        stand_in.find_module = _find_module  # type: ignore[attr-defined]
        sys.modules["imp"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.11 warns of imp
            importlib.import_module("tdw.flatbuffers.builder")
    except Exception as error:
        raise PluginError(
            f"ThreeDWorld's Python package can't be imported: {type(error).__name__}: {error}",
            mend=f"{INSTALL} again",
        ) from error
    finally:
        # The FlatBuffers keep it; anybody else who looks for imp must not be fooled.
        if stand_in is not None and sys.modules.get("imp") is stand_in:
            del sys.modules["imp"]


def _find_module(name: str) -> None:
    """As ``imp.find_module``, for one that only wants to know whether there is such a module."""
    if find_spec(name) is None:
        raise ImportError(f"no module named {name!r}", name=name)
