import logging
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import numpy as np
import pandas as pd
import lightning.pytorch as pl
from pytorch_forecasting import NBeats, TemporalFusionTransformer, TimeSeriesDataSet
from pytorch_forecasting.metrics import QuantileLoss

pl.seed_everything(0, verbose=False)
frame = pd.DataFrame(
    {
        "time": np.tile(np.arange(30), 2),
        "series": np.repeat(["a", "b"], 30),
        "value": np.sin(np.arange(60) / 3) + 2 + np.repeat([0.0, 1.0], 30),
    }
)
shape = dict(
    time_idx="time",
    target="value",
    group_ids=["series"],
    max_encoder_length=8,
    max_prediction_length=3,
    time_varying_unknown_reals=["value"],
)
quiet = dict(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    gradient_clip_val=0.1,
)
for cls, more, own in (
    (NBeats, {}, dict(widths=[8, 8], backcast_loss_ratio=0.1)),
    (
        TemporalFusionTransformer,
        dict(time_varying_known_reals=["time"], static_categoricals=["series"]),
        dict(
            hidden_size=8,
            attention_head_size=2,
            hidden_continuous_size=4,
            loss=QuantileLoss(),
            optimizer="sgd",
        ),
    ),
):
    pl.seed_everything(1, verbose=False)
    data = TimeSeriesDataSet(frame, **shape, **more)
    loader = data.to_dataloader(train=True, batch_size=16, num_workers=0)
    model = cls.from_dataset(data, learning_rate=0.01, **own)
    trainer = pl.Trainer(**quiet)
    trainer.fit(model, train_dataloaders=loader)
    print(trainer.callback_metrics["train_loss_epoch"].item())
    print(*[p.detach().double().abs().mean().item() for p in model.parameters()])
