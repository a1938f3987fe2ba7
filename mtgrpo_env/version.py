"""The version of the package that is installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("mtgrpo-env")
except PackageNotFoundError:  # a checkout that is not installed
    VERSION = "0+unknown"
