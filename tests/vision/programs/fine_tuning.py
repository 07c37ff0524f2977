"""Fine-tunes a ResNet on folders of images: `fine_tuning.py FOLDER`, with train and val inside."""

import os
import sys
import tempfile

import torch
import torch.nn as nn
import torch.optim as optim
import torchvision
from torch.optim import lr_scheduler
from torchvision import datasets, models, transforms

root = sys.argv[1]
torch.manual_seed(0)

data_transforms = {
    "train": transforms.Compose(
        [
            transforms.RandomResizedCrop(64),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    ),
    "val": transforms.Compose(
        [
            transforms.Resize(72),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    ),
}
image_datasets = {
    x: datasets.ImageFolder(os.path.join(root, x), data_transforms[x]) for x in ["train", "val"]
}
dataloaders = {
    x: torch.utils.data.DataLoader(image_datasets[x], batch_size=8, shuffle=True, num_workers=0)
    for x in ["train", "val"]
}
dataset_sizes = {x: len(image_datasets[x]) for x in ["train", "val"]}
class_names = image_datasets["train"].classes
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
print(image_datasets["val"], dataset_sizes, class_names)

inputs, classes = next(iter(dataloaders["train"]))
grid = torchvision.utils.make_grid(inputs)
print(grid.shape, f"{grid.mean():.4f}", [class_names[x] for x in classes])


def train_model(model, criterion, optimizer, scheduler, num_epochs=2):
    with tempfile.TemporaryDirectory() as tempdir:
        best_path = os.path.join(tempdir, "best_model_params.pt")
        torch.save(model.state_dict(), best_path)
        best_acc = 0.0
        for epoch in range(num_epochs):
            print(f"Epoch {epoch}/{num_epochs - 1}")
            print("-" * 10)
            for phase in ["train", "val"]:
                if phase == "train":
                    model.train()
                else:
                    model.eval()
                running_loss = 0.0
                running_corrects = 0
                for inputs, labels in dataloaders[phase]:
                    inputs = inputs.to(device)
                    labels = labels.to(device)
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(phase == "train"):
                        outputs = model(inputs)
                        _, preds = torch.max(outputs, 1)
                        loss = criterion(outputs, labels)
                        if phase == "train":
                            loss.backward()
                            optimizer.step()
                    running_loss += loss.item() * inputs.size(0)
                    running_corrects += torch.sum(preds == labels.data)
                if phase == "train":
                    scheduler.step()
                epoch_loss = running_loss / dataset_sizes[phase]
                epoch_acc = running_corrects.double() / dataset_sizes[phase]
                lr = scheduler.get_last_lr()[0]
                print(f"{phase} Loss: {epoch_loss:.3f} Acc: {epoch_acc:.4f} lr: {lr:.1e}")
                if phase == "val" and epoch_acc > best_acc:
                    best_acc = epoch_acc
                    torch.save(model.state_dict(), best_path)
            print()
        print(f"Best val Acc: {best_acc:4f}")
        model.load_state_dict(torch.load(best_path, weights_only=True))
    return model


# all layers are trained
model_ft = models.resnet18(weights=None)
num_ftrs = model_ft.fc.in_features
model_ft.fc = nn.Linear(num_ftrs, len(class_names))
model_ft = model_ft.to(device)
criterion = nn.CrossEntropyLoss()
optimizer_ft = optim.SGD(model_ft.parameters(), lr=0.00001, momentum=0.9)
exp_lr_scheduler = lr_scheduler.StepLR(optimizer_ft, step_size=1, gamma=0.1)
model_ft = train_model(model_ft, criterion, optimizer_ft, exp_lr_scheduler)

# the last layer alone
model_conv = models.resnet18(weights=None)
model_conv.load_state_dict(
    {**model_ft.state_dict(), "fc.weight": model_conv.fc.weight, "fc.bias": model_conv.fc.bias}
)
for param in model_conv.parameters():
    param.requires_grad = False
model_conv.fc = nn.Linear(model_conv.fc.in_features, 2)
optimizer_conv = optim.SGD(model_conv.fc.parameters(), lr=0.001, momentum=0.9)
exp_lr_scheduler = lr_scheduler.StepLR(optimizer_conv, step_size=7, gamma=0.1)
model_conv = train_model(model_conv, criterion, optimizer_conv, exp_lr_scheduler, num_epochs=1)
print(sum(p.numel() for p in model_conv.parameters() if p.requires_grad), model_conv.fc)

checkpoint = os.path.join(root, "checkpoint.pt")
torch.save(
    {"model": model_ft.state_dict(), "optimizer": optimizer_ft.state_dict(), "epoch": 2}, checkpoint
)
again = torch.load(checkpoint, weights_only=True)
print(again["epoch"], len(again["model"]), again["optimizer"]["param_groups"][0]["initial_lr"])
model_ft.load_state_dict(again["model"])
optimizer_ft.load_state_dict(again["optimizer"])


def predictions(model):
    was_training = model.training
    model.eval()
    found = []
    with torch.no_grad():
        for inputs, _ in dataloaders["val"]:
            _, preds = torch.max(model(inputs.to(device)), 1)
            found += [class_names[p] for p in preds]
    model.train(mode=was_training)
    return found


print(predictions(model_ft))
