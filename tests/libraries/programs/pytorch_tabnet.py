import numpy as np
import tempfile
import contextlib
import sys
import warnings

warnings.filterwarnings("ignore")
from pytorch_tabnet.tab_model import TabNetClassifier, TabNetRegressor

rng = np.random.default_rng(0)
x = rng.normal(size=(96, 6)).astype(np.float32)
x[:, 2] = rng.integers(0, 4, 96)
label = (x[:, 0] + x[:, 1] > 0).astype(int)
options = dict(n_d=4, n_a=4, n_steps=2, seed=0, verbose=0, device_name="cpu")
with contextlib.redirect_stdout(sys.stderr):
    model = TabNetClassifier(cat_idxs=[2], cat_dims=[4], cat_emb_dim=2, **options)
    fit = dict(max_epochs=3, batch_size=32, virtual_batch_size=16)
    model.fit(x, label, eval_set=[(x[:32], label[:32])], eval_metric=["logloss"], **fit)
    explained, masks = model.explain(x[:4])
    with tempfile.TemporaryDirectory() as d:
        path = model.save_model(d + "/model")
        again = TabNetClassifier()
        again.load_model(path)
    regressor = TabNetRegressor(**options)
    regressor.fit(x, x[:, :1] * 2, **fit)
print(*model.history["loss"], *model.history["val_0_logloss"])
print(*model.predict_proba(x[:4]).ravel(), *again.predict_proba(x[:2]).ravel())
print(*model.feature_importances_, explained.sum(), *[m.sum() for m in masks.values()])
print(*regressor.history["loss"], *regressor.predict(x[:3]).ravel())
