import torch
from peft import LoraConfig, get_peft_model


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(8, 16)
        self.b = torch.nn.Linear(16, 3)

    def forward(self, x):
        return self.b(self.a(x).relu())


torch.manual_seed(0)
x, y = torch.randn(20, 8), torch.randint(0, 3, (20,))
model = get_peft_model(
    Net(), LoraConfig(r=4, lora_alpha=8, target_modules=["a"], modules_to_save=["b"])
)
print(sum(p.numel() for p in model.parameters() if p.requires_grad))
opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 0.02)
for _ in range(5):
    opt.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    opt.step()
    print(loss.item())
model.eval()
print(*model(x)[0].tolist())
with model.disable_adapter():
    print(*model(x)[0].tolist())
import tempfile
from peft import PeftModel

with tempfile.TemporaryDirectory() as d:
    model.save_pretrained(d)
    torch.manual_seed(0)
    torch.randn(20, 8), torch.randint(0, 3, (20,))
    again = PeftModel.from_pretrained(Net(), d).eval()
print(*again(x)[0].tolist())
print(*model.merge_and_unload()(x)[0].tolist())
