import warnings

warnings.filterwarnings("ignore")
import tempfile
import numpy as np
import pandas as pd
from fastai.tabular.all import (
    CategoryBlock,
    Categorify,
    FillMissing,
    Normalize,
    TabularDataLoaders,
    accuracy,
    set_seed,
    tabular_learner,
)

rng = np.random.default_rng(0)
frame = pd.DataFrame(
    {
        "colour": rng.choice(["red", "green", "blue"], 80),
        "size": rng.choice(["s", "m"], 80),
        "a": rng.normal(size=80),
        "b": rng.normal(size=80),
    }
)
frame["kind"] = np.where(frame["a"] + (frame["colour"] == "red") > 0.3, "yes", "no")
frame.loc[3, "b"] = np.nan
set_seed(0)
loaders = TabularDataLoaders.from_df(
    frame,
    procs=[Categorify, FillMissing, Normalize],
    cat_names=["colour", "size"],
    cont_names=["a", "b"],
    y_names="kind",
    y_block=CategoryBlock(),
    valid_idx=list(range(60, 80)),
    bs=16,
    num_workers=0,
)
learner = tabular_learner(loaders, layers=[16, 8], metrics=accuracy)
with learner.no_bar(), learner.no_logging():
    learner.fit_one_cycle(2, 1e-2)
    learner.fit(1, 1e-3, wd=0.1)
print(*[float(v) for row in learner.recorder.values for v in row])
print(*[float(v) for v in learner.recorder.losses])
with learner.no_bar(), learner.no_logging():
    chances, labels = learner.get_preds()
    print(*chances[:4].ravel().tolist(), *labels[:6].ravel().tolist())
    with tempfile.TemporaryDirectory() as d:
        learner.path = __import__("pathlib").Path(d)
        learner.save("kept")
        learner.load("kept")
    print(*learner.validate())
