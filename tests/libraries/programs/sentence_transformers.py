"""A sentence encoder around a tiny Bert: embeddings, similarity, a loss trained, saving."""

import tempfile

import torch
from sentence_transformers import SentenceTransformer, losses, models, util
from transformers import BertConfig, BertModel, BertTokenizer

torch.manual_seed(0)
words = "[PAD] [UNK] [CLS] [SEP] [MASK] a cat dog sat ran on the mat road fast slow".split()
with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("\n".join(words))
    BertTokenizer(f"{folder}/vocab.txt").save_pretrained(folder)
    config = BertConfig(vocab_size=len(words), hidden_size=16, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=24, max_position_embeddings=16)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    layer = models.Transformer(folder, max_seq_length=12)
    model = SentenceTransformer(
        modules=[layer, models.Pooling(16, "mean"), models.Normalize()], device="cpu"
    )
    texts = ["the cat sat on the mat", "a dog ran fast", "the dog sat on a road", "a slow cat"]
    found = model.encode(texts, convert_to_tensor=True)
    print(*found.flatten().tolist())
    print(*util.cos_sim(found, found).flatten().tolist())
    loss = losses.MultipleNegativesRankingLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.eval()
    for _ in range(2):
        optimizer.zero_grad()
        pairs = [model.tokenize(texts[:2]), model.tokenize(texts[2:])]
        value = loss(pairs, None)
        value.backward()
        optimizer.step()
        print(value.item())
    model.save(f"{folder}/out")
    again = SentenceTransformer(f"{folder}/out", device="cpu")
    print(*again.encode(texts[:1])[0].tolist())
