"""The face: command line and flows over golden, hdl and sim. Nothing imports it."""

from importlib.metadata import version

__version__ = version("bittrue")
