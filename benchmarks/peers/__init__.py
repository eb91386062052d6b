"""The peers, one file each.

``training(job, **options)`` prepares a peer and returns ``run(n) -> seconds``; ``losses(job, n, **options)``
returns the losses of the first n iterations, from the job's first weights and on its sequences.
"""


class PeerMissing(Exception):
    """A requirement of a peer is missing on this machine; the message is the line for the table."""
