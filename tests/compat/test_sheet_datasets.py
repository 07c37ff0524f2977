"""The summary sheet, "Datasets": CIFAR-10 read from its pickles, images and a loader made of it."""

from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np

UNPICKLE = """
    def unpickle(file):
        import pickle
        with open(file, 'rb') as fo:
            dict = pickle.load(fo, encoding='bytes')
        return dict
    data_dict = unpickle(folder + "/data_batch_1")
"""


def test_unpickle_block(both, cifar_folder):
    transcript = both(
        UNPICKLE
        + """
    print(data_dict[b'batch_label'])
    print(data_dict[b'labels'][12:14])
    print(data_dict[b'data'].shape)
    print(data_dict.get(b'filenames', [])[12:14])
    torch.tensor(data_dict[b'labels'][:8])
    torch.tensor(data_dict[b'data'][:2, :6])
    torch.from_numpy(data_dict[b'data'])[15].view(3, 32, 32)[:, 0, :4]
    """,
        folder=str(cifar_folder),
    )
    assert "b'training batch 1 of 5'" in transcript.printed


def test_two_ways_to_an_image(both, cifar_folder):
    """By channels into the last axis, or all at once by turning the rows: blue comes first then.

    A turned array has negative strides, which tensors cannot share, today neither.
    """
    transcript = both(
        UNPICKLE
        + """
    img = np.ones((32,32,3)).astype('uint8')
    img[:,:,0] = data_dict[b'data'][15][:1024].reshape(32,32)
    img[:,:,1] = data_dict[b'data'][15][1024:2048].reshape(32,32)
    img[:,:,2] = data_dict[b'data'][15][2048:3072].reshape(32,32)
    torch.from_numpy(img)
    first = img
    img = np.ones((3,1024)).astype('uint8')
    img[0,:] = data_dict[b'data'][15][:1024]
    img[1,:] = data_dict[b'data'][15][1024:2048]
    img[2,:] = data_dict[b'data'][15][2048:3072]
    img = np.rot90(img,3)
    img = img.reshape(32,32,3)
    torch.from_numpy(img)
    bool((torch.tensor(img.copy()) == torch.from_numpy(first).flip(2)).all())
    """,
        folder=str(cifar_folder),
        raises=1,
    )
    assert transcript.printed.endswith("True\n")


HORSES = """
    import pickle
    from torch.utils.data import Dataset
    import torch.utils.data as Data
    import os
    batchSize = 4
    def get_img(img_data):
        img = np.array([img_data[:1024].reshape(32,32),img_data[1024:2048].reshape(32,32),
                        img_data[2048:3072].reshape(32,32)])
        return img
    def get_dataset():
        dataset = []
        files = ["data_batch_1","data_batch_2","data_batch_3","data_batch_4","data_batch_5"]
        for file in files:
            with open(os.path.join(dataroot,file), 'rb') as fo:
                data_dict = pickle.load(fo, encoding='bytes')
                for i in range(len(data_dict[b'data'])):
                    if data_dict[b'labels'][i] == int(7):
                        img_data = data_dict[b'data'][i]
                        dataset.append((torch.tensor(get_img(img_data),dtype = torch.float32),
                                        torch.tensor(8,dtype=torch.float32)))
        return dataset
    class MyDataSet(Dataset):
        def __init__(self):
            self.dataset = get_dataset()
        def __getitem__(self, index):
            return self.dataset[index]
        def __len__(self):
            return len(self.dataset)
    dataset = MyDataSet()
    dataloader = Data.DataLoader(
        dataset=dataset,
        batch_size=batchSize,
        shuffle=True,
        num_workers={workers},
    )
    images, labels = next(iter(dataloader))
    images.shape, labels
    len(dataset), len(dataloader)
    images.mean((1, 2, 3))
    images[0, :, :2, :4]
    sum(len(batch) for batch, _ in dataloader)
"""


def test_horse_loader_block(both, cifar_folder):
    """Shuffled by the seed as PyTorch shuffles (which runs here without workers: same order)."""
    transcript = both(
        HORSES.format(workers=2),
        modern=HORSES.format(workers=0),
        dataroot=str(cifar_folder),
        rtol=2e-4,
    )
    horses = 0
    for number in range(1, 6):
        batch = pickle.loads((cifar_folder / f"data_batch_{number}").read_bytes(), encoding="bytes")
        horses += int(np.sum(np.asarray(batch[b"labels"]) == 7))
    assert len(transcript.names["dataset"]) == horses > 0


def write_idx(path, array: np.ndarray) -> None:
    """The format of the MNIST files: a magic number with the rank, the sizes, the bytes."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(head + array.tobytes())


def test_mnist_loader_block(script, tmp_path):
    """The block's other line, `datasets.MNIST(...)`: nothing to download where the files lie."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    for split in ("train", "t10k"):
        write_idx(raw / f"{split}-images-idx3-ubyte.gz", digits)
        write_idx(raw / f"{split}-labels-idx1-ubyte.gz", labels)
    transcript = script(
        """
        import torchvision
        dataset = torchvision.datasets.MNIST(root=root, download=True,
                                             transform=torchvision.transforms.ToTensor())
        data_loader = torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True,
                                                  num_workers=2)
        batches = list(data_loader)
        [tuple(images.shape) for images, _ in batches]
        """,
        root=str(tmp_path),
    )
    assert transcript.errors == []
    assert transcript.printed == "[(4, 1, 28, 28), (2, 1, 28, 28)]\n"
    for images, targets in transcript.names["batches"]:
        expected = digits[targets.numpy()][:, None].astype(np.float32) / 255
        np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
