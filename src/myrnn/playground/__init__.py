"""The playground: a page in the browser that shows a recurrent network while it learns.

It only calls the rest of the library. The files, in the order in which data pass through them:

settings  the choices of a person, from the settings of everything registered
material  what a network learns: a task that draws sequences, or the data of a run
messages  between the page and its session
network   a model with its training
views     what the page shows of a network, and how often
bench     the network in training, the pinned one, and the sequence on display
keep      runs, figures, scripts
session   answers the messages of a page; the sessions take turns with MyGrad
app       the page, its files, a WebSocket per tab; access checks
serve     the server, its address and token, the browser
"""

from myrnn.playground.serve import PORT, serve

__all__ = ["PORT", "serve"]
