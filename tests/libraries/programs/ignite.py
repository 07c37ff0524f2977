"""A trainer with an evaluator, metrics, early stopping and checkpoints."""

import tempfile

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver, EarlyStopping
from ignite.metrics import Accuracy, ConfusionMatrix, Loss, Precision, RunningAverage

torch.manual_seed(0)
x = torch.randn(48, 4)
y = (x.sum(1) > 0).long()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 8, shuffle=True)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
loss, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), lr=0.1)
trainer = create_supervised_trainer(net, optimizer, loss)
RunningAverage(output_transform=lambda out: out).attach(trainer, "running")
metrics = {"accuracy": Accuracy(), "loss": Loss(loss), "precision": Precision(average=True),
           "table": ConfusionMatrix(2)}  # fmt: skip
evaluator = create_supervised_evaluator(net, metrics=metrics)
stop = EarlyStopping(2, lambda engine: -engine.state.metrics["loss"], trainer)
evaluator.add_event_handler(Events.COMPLETED, stop)


@trainer.on(Events.EPOCH_COMPLETED)
def evaluate(engine):
    evaluator.run(loader)
    found = evaluator.state.metrics
    print(engine.state.metrics["running"], found["accuracy"], found["loss"], found["precision"])
    print(*found["table"].flatten().tolist())


with tempfile.TemporaryDirectory() as folder:
    saver = Checkpoint({"net": net, "opt": optimizer}, DiskSaver(folder), n_saved=1)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, saver)
    trainer.run(loader, max_epochs=3)
    state = torch.load(str(saver.last_checkpoint))
    print(*[v.norm().item() for v in state["net"].values()])
