import torch
import tempfile
import logging
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset


class Net(L.LightningModule):
    def __init__(self, width=16):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, 3)
        )

    def training_step(self, batch, i):
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train", loss)
        return loss

    def validation_step(self, batch, i):
        self.log("val", torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        o = torch.optim.Adam(self.parameters(), 0.02)
        return [o], [torch.optim.lr_scheduler.StepLR(o, 1, 0.5)]


L.seed_everything(0, verbose=False)
data = TensorDataset(torch.randn(32, 8), torch.randint(0, 3, (32,)))
load = lambda s: DataLoader(data, 8, shuffle=s)
with tempfile.TemporaryDirectory() as d:
    kw = dict(
        default_root_dir=d,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    keep = ModelCheckpoint(d, filename="best", monitor="val", save_last=True)
    t = L.Trainer(max_epochs=2, callbacks=[keep], **kw)
    model = Net()
    t.fit(model, load(True), load(False))
    print(t.callback_metrics["train"].item(), t.callback_metrics["val"].item(), t.global_step)
    L.seed_everything(1, verbose=False)
    t = L.Trainer(max_epochs=4, enable_checkpointing=False, **kw)
    other = Net()
    t.fit(other, load(True), load(False), ckpt_path=keep.last_model_path)
    print(
        t.callback_metrics["train"].item(),
        t.callback_metrics["val"].item(),
        t.global_step,
        t.optimizers[0].param_groups[0]["lr"],
    )
    again = Net.load_from_checkpoint(keep.best_model_path)
    print(t.validate(again, load(False), verbose=False)[0]["val"])
