"""The peers, one file each.

``training(job, **options)`` gets a peer ready to train and returns ``run(n) -> seconds``; ``losses(job, n, **options)``
returns the losses of the first n iterations, from the job's first weights and on its sequences.
"""


class PeerMissing(Exception):
    """What a peer needs is not on this machine; the message is the line for the table."""
