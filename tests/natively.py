"""Calls the functions that emitted code calls, as machine code."""

from functools import wraps

from myrnn.compiler import cache
from myrnn.compiler.runtime import functions


def native(function):
    """Return what runs a function's machine code."""

    @wraps(function)
    def run(*arguments):
        address = cache.runtime().address(functions.symbol(function))
        return functions.caller(function)(address, arguments)

    return run
