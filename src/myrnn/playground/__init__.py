"""The playground: a page in the browser that shows a recurrent network while it learns.

It only calls the rest of the library: a session holds a `Training` and looks at its model with `evaluate`, `inspect`
and their like. ``docs/playground.md`` says how it is made.
"""

from myrnn.playground._serve import PORT, serve

__all__ = ["PORT", "serve"]
