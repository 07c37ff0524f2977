import os

os.environ["DDE_BACKEND"] = "pytorch"
import contextlib
import sys
import numpy as np
import torch

with contextlib.redirect_stdout(sys.stderr):
    import deepxde as dde

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(0)
    line = dde.geometry.Interval(-1, 0.7)

    def equation(x, y):
        return dde.grad.hessian(y, x) + np.pi**2 * torch.sin(np.pi * x)

    edge = dde.icbc.DirichletBC(line, lambda x: np.sin(np.pi * x), lambda _, on: on)
    data = dde.data.PDE(
        line,
        equation,
        edge,
        16,
        2,
        solution=lambda x: np.sin(np.pi * x),
        num_test=20,
        train_distribution="uniform",
    )
    net = dde.nn.FNN([1, 20, 20, 1], "tanh", "Glorot uniform")
    model = dde.Model(data, net)
    model.compile("adam", lr=0.01, metrics=["l2 relative error"])
    history, state = model.train(iterations=40, display_every=10)
    learned = [*np.array(history.loss_train).ravel(), *np.array(history.metrics_test).ravel()]
    rest = model.predict(np.linspace(-0.9, 0.6, 9)[:, None], operator=equation)
    dde.optimizers.config.set_LBFGS_options(maxiter=10)
    model.compile("L-BFGS")
    model.train(display_every=1000)
    found = model.predict(np.linspace(-1, 0.7, 9)[:, None])
print(*learned)
print(np.abs(found).mean(), np.abs(rest).mean())
