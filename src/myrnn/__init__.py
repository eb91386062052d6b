"""Write a recurrent model as its equations; train it at native speed; see what it learned."""

__version__ = "0.1.0"
