"""Call runtime functions as machine code."""

from functools import wraps

from myrnn.compiler import cache
from myrnn.compiler.runtime import functions


def native(function):
    """Return a function that runs the machine code of another."""

    @wraps(function)
    def run(*arguments):
        return functions.caller(function)(cache.address(function), arguments)

    return run
