import tempfile
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

torch.manual_seed(0)
config = BertConfig(
    vocab_size=60,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=40,
    max_position_embeddings=16,
    num_labels=3,
)
rows = torch.randint(0, 60, (24, 8))
data = [
    {"input_ids": r, "attention_mask": torch.ones_like(r), "labels": int(r.sum()) % 3} for r in rows
]


def accuracy(found):
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}


def trainer(folder):
    torch.manual_seed(1)
    args = TrainingArguments(
        output_dir=folder,
        max_steps=6,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=5e-3,
        weight_decay=0.01,
        max_grad_norm=1.0,
        lr_scheduler_type="linear",
        warmup_steps=2,
        logging_steps=1,
        save_steps=3,
        eval_strategy="steps",
        eval_steps=3,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=3,
    )
    made = Trainer(
        BertForSequenceClassification(config),
        args,
        train_dataset=data,
        eval_dataset=data[:10],
        compute_metrics=accuracy,
    )
    made.remove_callback(PrinterCallback)
    return made


with tempfile.TemporaryDirectory() as d:
    first = trainer(d)
    first.train()
    for entry in first.state.log_history:
        print(
            *[entry[k] for k in ("loss", "grad_norm", "learning_rate", "eval_loss") if k in entry]
        )
    print(first.evaluate()["eval_accuracy"], first.predict(data[:4]).predictions.ravel()[0])
    again = trainer(d)
    again.train(resume_from_checkpoint=d + "/checkpoint-3")
    print(again.state.global_step, again.evaluate()["eval_loss"])
    print(*[p.double().abs().mean().item() for p in again.model.parameters()])
