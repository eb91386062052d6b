"""
A tag for each step
===================

A tagger gives a tag to every step of a sequence. Here the steps are characters of Python code, and a tag says what kind
of token the character belongs to. Python's own ``tokenize`` module knows the right tags.
"""

import io
import json.decoder
import textwrap
import tokenize

import matplotlib.pyplot as plt

from myrnn import SequenceTagger

KINDS = {tokenize.COMMENT: "comment", tokenize.STRING: "string", tokenize.NUMBER: "number", tokenize.NAME: "name"}


def lines_and_kinds(source):
    """Return the lines of a file, and the kind of each character in them."""
    lines = source.splitlines()
    kinds = [["other"] * len(line) for line in lines]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in KINDS and token.start[0] == token.end[0]:
            row, (begin, end) = token.start[0] - 1, (token.start[1], token.end[1])
            kinds[row][begin:end] = [KINDS[token.type]] * (end - begin)
    return lines, kinds


lines, kinds = [], []
for module in (textwrap, json.decoder):
    with open(module.__file__, encoding="utf-8") as file:
        more_lines, more_kinds = lines_and_kinds(file.read())
    lines += more_lines
    kinds += more_kinds

settings = {"dim_recurrent": 32, "bidirectional": True, "tokenize": "characters"}
tagger = SequenceTagger("gru", **settings, learning_rate=0.01, max_epochs=8, random_state=0)
tagger.fit(lines[:-150], kinds[:-150])
report = tagger.report(lines[-150:], kinds[-150:])
report

# %%
# The tags of a new line. The network reads in both directions, so a tag may depend on what comes later.

line = "name = 'value'  # not a 'string', for it is in a comment"
(tags,) = tagger.predict([line])
names = sorted(set(tags))
fig, ax = plt.subplots(figsize=(9, 2.2), layout="constrained")
ax.imshow([[name == tag for tag in tags] for name in names], cmap="Blues", aspect="auto", vmax=1.5)
ax.set_xticks(range(len(line)), list(line), family="monospace")
ax.set_yticks(range(len(names)), names)
plt.show()
