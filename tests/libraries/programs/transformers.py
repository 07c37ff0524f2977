import torch
import tempfile
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

small = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50
)
models = {
    BertForMaskedLM: BertConfig(**small, max_position_embeddings=32),
    GPT2LMHeadModel: GPT2Config(
        vocab_size=50,
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=49,
    ),
    LlamaForCausalLM: LlamaConfig(
        **small, num_key_value_heads=2, max_position_embeddings=32, bos_token_id=0, eos_token_id=49
    ),
}
for cls, config in models.items():
    torch.manual_seed(0)
    model = cls(config).eval()
    ids = torch.randint(0, 50, (2, 10))
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    opt = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(3):
        out = model(input_ids=ids, attention_mask=mask, labels=ids)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        print(out.loss.item())
    print(out.logits.detach().double().abs().mean().item())
    if cls is not BertForMaskedLM:
        print(
            *model.generate(ids[:1], max_new_tokens=6, do_sample=False, pad_token_id=0)[0].tolist()
        )
        torch.manual_seed(3)
        print(
            *model.generate(ids[:1], max_new_tokens=4, do_sample=True, top_k=10, pad_token_id=0)[
                0
            ].tolist()
        )
        print(
            *model.generate(
                ids[:1], max_new_tokens=4, num_beams=3, do_sample=False, pad_token_id=0
            )[0].tolist()
        )
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        again = cls.from_pretrained(d).eval()
    with torch.no_grad():
        print(
            again(input_ids=ids, attention_mask=mask, labels=ids).loss.item(),
            model(input_ids=ids, attention_mask=mask, labels=ids).loss.item(),
        )
