"""Call runtime functions as machine code."""

from functools import wraps

from myrnn.compiler import cache
from myrnn.compiler.runtime import functions


def native(function):
    """Return a function that runs the machine code of another."""

    @wraps(function)
    def run(*arguments):
        address = cache.runtime().address(functions.symbol(function))
        return functions.caller(function)(address, arguments)

    return run
