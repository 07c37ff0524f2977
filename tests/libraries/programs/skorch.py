"""Networks as scikit-learn estimators: fit, predict, a pipeline, a grid search, saving."""

import tempfile

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import EpochScoring, LRScheduler


class Net(torch.nn.Module):
    def __init__(self, hidden=8, out=2, softmax=True):
        super().__init__()
        self.a, self.b = torch.nn.Linear(4, hidden), torch.nn.Linear(hidden, out)
        self.softmax = softmax

    def forward(self, x):
        x = self.b(self.a(x).relu())
        return x.softmax(-1) if self.softmax else x


torch.manual_seed(0)
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4)).astype("float32")
y = (X.sum(1) > 0).astype("int64")
net = NeuralNetClassifier(
    Net, max_epochs=3, lr=0.1, verbose=0, batch_size=16,
    callbacks=[EpochScoring("accuracy"), LRScheduler("StepLR", step_size=1)],
)  # fmt: skip
net.fit(X, y)
print(*net.history[:, "train_loss"], *net.history[:, "valid_loss"], *net.history[:, "accuracy"])
print(*net.predict_proba(X[:4]).flatten(), *net.predict(X[:4]))
with tempfile.NamedTemporaryFile() as file:
    net.save_params(f_params=file.name)
    other = NeuralNetClassifier(Net).initialize()
    other.load_params(f_params=file.name)
    print(*other.predict_proba(X[:2]).flatten())
net.set_params(callbacks=[], train_split=None)
search = GridSearchCV(net, {"lr": [0.05, 0.2], "module__hidden": [4]}, cv=2, scoring="accuracy")
print(search.fit(X, y).best_score_, *search.cv_results_["mean_test_score"])
target = X[:, :1] * X[:, 1:2]
regressor = NeuralNetRegressor(Net, module__out=1, module__softmax=False, max_epochs=2, verbose=0)
print(*make_pipeline(StandardScaler(), regressor).fit(X, target).predict(X[:3]).flatten())
