"""A word language model: LSTM with tied weights, truncated backpropagation, saving, generating."""

import math
import os
import tempfile

import torch
import torch.nn as nn

TEXT = "the cat sat on the mat the dog sat on the log the cat and the dog saw the cat on the log"


class Dictionary:
    def __init__(self):
        self.word2idx, self.idx2word = {}, []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            if nhid != ninp:
                raise ValueError("When using the tied flag, nhid must be equal to emsize")
            self.decoder.weight = self.encoder.weight
        self.init_weights()
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers

    def init_weights(self):
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return torch.nn.functional.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        if self.rnn_type == "LSTM":
            return (weight.new_zeros(self.nlayers, bsz, self.nhid),
                    weight.new_zeros(self.nlayers, bsz, self.nhid))  # fmt: skip
        return weight.new_zeros(self.nlayers, bsz, self.nhid)


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def get_batch(source, i, bptt=3):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def main(onnx_export=""):
    torch.manual_seed(1111)
    dictionary = Dictionary()
    ids = torch.tensor([dictionary.add_word(w) for w in [*TEXT.split(), "<eos>"] * 2])
    train_data, ntokens = batchify(ids.type(torch.int64), 4), len(dictionary.idx2word)
    model = RNNModel("LSTM", ntokens, 8, 8, 2, 0.2, tie_weights=True)
    criterion, lr = nn.NLLLoss(), 5.0
    for epoch in range(2):
        model.train()
        total, hidden = 0.0, model.init_hidden(4)
        for i in range(0, train_data.size(0) - 1, 3):
            data, targets = get_batch(train_data, i)
            model.zero_grad()
            hidden = repackage_hidden(hidden)
            output, hidden = model(data, hidden)
            loss = criterion(output, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-lr)
            total += loss.item()
        print(f"words {epoch} {total:.5f} {math.exp(min(total / 4, 20)):.4f}")
        lr /= 4.0
    path = os.path.join(tempfile.mkdtemp(), "model.pt")
    with open(path, "wb") as f:
        torch.save(model, f)
    with open(path, "rb") as f:
        model = torch.load(f, weights_only=False)
    model.rnn.flatten_parameters()
    model.eval()
    if onnx_export:
        torch.onnx.export(model, (torch.zeros(1, 1),), onnx_export)
    hidden, input = model.init_hidden(1), torch.randint(ntokens, (1, 1), dtype=torch.long)
    words = []
    with torch.no_grad():
        for _ in range(8):
            output, hidden = model(input, hidden)
            word_weights = output.squeeze().div(1.0).exp().cpu()
            word_idx = torch.multinomial(word_weights, 1)[0]
            input.fill_(word_idx)
            words.append(dictionary.idx2word[word_idx])
    print("words text", " ".join(words))
