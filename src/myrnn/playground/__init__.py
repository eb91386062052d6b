"""The playground: a page in the browser that shows a recurrent network while it learns.

It only calls the rest of the library. The files, in the order in which data passes through them:

settings  what a person can choose, from the settings of whatever is registered
data      the sequences of a run on data, in the place of a task
messages  between the page and its session
network   a model with its training
views     what the page shows of a network, and how often
bench     the network that is trained, the pinned one, the sequence that is looked at
keep      runs, pictures, scripts
session   answers the messages of a page; the sessions take turns with MyGrad
app       the page, its files, a WebSocket a tab; who may ask
serve     the server, its address and token, the browser
"""

from myrnn.playground.serve import PORT, serve

__all__ = ["PORT", "serve"]
