"""
Cross-validation with scikit-learn
==================================

``SequenceClassifier`` is a scikit-learn classifier, so it works in pipelines, searches and cross-validation. Here it
reads pictures of handwritten digits row by row, as sequences of 8 steps of 8 numbers.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from myrnn import SequenceClassifier

digits = load_digits()
settings = {"dim_recurrent": 32, "learning_rate": 0.01, "max_epochs": 10, "validation_fraction": 0, "random_state": 0}
flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
candidates = {
    "RNN": SequenceClassifier("rnn", **settings),
    "GRU": SequenceClassifier("gru", **settings),
    "logistic regression": make_pipeline(flat, StandardScaler(), LogisticRegression(max_iter=1_000)),
}
scores = {name: cross_val_score(model, digits.images, digits.target, cv=4) for name, model in candidates.items()}

# %%
# Each dot is the accuracy on one fold: a quarter of the pictures, which the model was not fitted to. The logistic
# regression sees all pixels at once.

fig, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
for row, (name, found) in enumerate(scores.items()):
    ax.plot(found, [row] * len(found), "o", alpha=0.6)
    ax.plot(found.mean(), row, "|", color="black", markersize=18)
    print(f"{name}: {found.mean():.1%}")
ax.set(xlabel="accuracy", yticks=range(len(scores)), yticklabels=scores, ylim=(2.5, -0.5))
plt.show()
