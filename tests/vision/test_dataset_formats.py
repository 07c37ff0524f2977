"""Every data set's reader on small files, against what torchvision reads; downloads."""

import hashlib
import http.server
import importlib.util
import inspect
import io
import json
import pickle
import tarfile
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.vision import dataset_cases, dataset_reading, public_names, small_files
from torchish.vision import datasets, tv_tensors
from torchish.vision.datasets import utils
from torchish.vision.datasets.video_utils import VideoClips

LIVE = importlib.util.find_spec("torchvision") is not None
# Arguments that no case need give: every case with a transform, a loader or the network.
COMMON = {"root", "transform", "target_transform", "transforms", "download", "loader",
          "num_workers", "num_download_workers", "kwargs"}  # fmt: skip
# The base class, and one that reads no files (test_datasets.py).
NO_FILES = {"VisionDataset", "FakeData"}


def test_every_data_set_has_cases_for_every_option():
    names = json.loads(public_names.TABLE.read_text())["names"]["datasets"]
    given: dict[str, set[str]] = {}
    for key in json.loads(dataset_reading.EXPECTED.read_text()):
        kind, _, options = key.partition(" ")
        given.setdefault(kind.removeprefix("wrap:"), set()).update(json.loads(options))
    classes = {name for name in names if isinstance(getattr(datasets, name), type)} - NO_FILES
    assert given.keys() == classes
    missing = []
    for name, options in given.items():
        parameters = inspect.signature(getattr(datasets, name)).parameters.keys() - COMMON
        own = {option for option in parameters if not option.startswith("_")}
        missing += [f"{name}({option})" for option in sorted(own - options)]
    assert not missing, missing


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("name", sorted(dataset_cases.BUILDERS))
def test_readers(name, tmp_path, monkeypatch):
    pytest.importorskip(dataset_cases.NEEDS.get(name, "json"))
    # What `read` replaces is restored afterwards.
    monkeypatch.setattr(utils, "check_md5", utils.check_md5)
    monkeypatch.setattr(VideoClips, "get_clip", VideoClips.get_clip)
    recorded = json.loads(dataset_reading.EXPECTED.read_text())
    wrong = []
    for kind, options in dataset_cases.BUILDERS[name](tmp_path):
        key = dataset_reading.key(kind, options, tmp_path)
        expected = recorded[key]
        if LIVE:
            theirs = dataset_reading.read("torchvision", kind, options, tmp_path)
            expected = json.loads(json.dumps(theirs))
        ours = dataset_reading.read("torchish.vision", kind, options, tmp_path)
        if json.loads(json.dumps(ours)) != expected:
            wrong.append(f"{key}: {ours} for {expected}")
    assert not wrong, "\n".join(wrong)


def test_flow_in_pictures_of_16_bits(tmp_path):
    """KITTI's flow: (r - 2^15) / 64, (g - 2^15) / 64, and b where it is valid."""
    stored = np.random.default_rng(0).integers(0, 2**16, (3, 4, 3)).astype(np.uint16)
    stored[..., 2] %= 2
    folder = tmp_path / "KittiFlow/training"
    for number in (10, 11):
        small_files.img(folder / f"image_2/0_{number}.png", number, size=(4, 3))
    small_files.rgb16(folder / "flow_occ/0_10.png", stored)
    dataset = datasets.KittiFlow(str(tmp_path))
    first, second, flow, valid = dataset[0]
    assert (len(dataset), first.size, second.size) == (1, (4, 3), (4, 3))
    wanted = (stored[..., :2].astype(np.float64) - 2**15).transpose(2, 0, 1) / 64
    np.testing.assert_array_equal(flow, wanted.astype(np.float32))
    np.testing.assert_array_equal(valid, stored[..., 2] != 0)
    assert flow.dtype == np.float32 and valid.dtype == bool
    for k in range(3):  # of a sequence, each picture with the next
        small_files.img(tmp_path / f"hd1k/hd1k_input/image_2/000001_{k}.png", k, size=(4, 3))
        small_files.rgb16(tmp_path / f"hd1k/hd1k_flow_gt/flow_occ/000001_{k}.png", stored)
    sequence = datasets.HD1K(str(tmp_path))
    assert len(sequence) == 2
    np.testing.assert_array_equal(sequence[1][2], flow)
    np.testing.assert_array_equal(sequence[1][3], valid)
    with pytest.raises(FileNotFoundError, match="Could not find the Kitti flow images"):
        datasets.KittiFlow(str(tmp_path), split="test")


class _Pairs(datasets.VOCDetection):
    """A class of the user's own, which is wrapped as its base is."""


def test_wrapped_data_sets(tmp_path):
    dataset_cases.scenes(tmp_path)
    seen = []

    def change(image, target):
        seen.append(target)
        return image, target["labels"] + 1

    wrapped = datasets.wrap_dataset_for_transforms_v2(_Pairs(str(tmp_path), transforms=change))
    assert isinstance(wrapped, _Pairs) and len(wrapped) == 1
    assert wrapped[0][1].tolist() == [13, 9]
    boxes = seen[0]["boxes"]
    assert isinstance(boxes, tv_tensors.BoundingBoxes) and boxes.canvas_size == (6, 8)
    assert wrapped.annotations == wrapped._dataset.targets  # attributes are the data set's
    plain = datasets.wrap_dataset_for_transforms_v2(datasets.VOCDetection(str(tmp_path)))
    assert pickle.loads(pickle.dumps(plain))[0][1]["labels"].tolist() == [12, 8]


def test_what_cannot_be_wrapped(tmp_path):
    wrap = datasets.wrap_dataset_for_transforms_v2
    dataset_cases.scenes(tmp_path / "a")
    dataset_cases.faces_and_things(tmp_path / "b")
    voc = datasets.VOCDetection(str(tmp_path / "a"))
    with pytest.raises(ValueError, match=r"Target keys \['weight'\] are not available"):
        wrap(voc, target_keys=["weight"])
    with pytest.raises(ValueError, match="`target_keys` can be None, 'all', or a collection"):
        wrap(voc, target_keys=[3])
    with pytest.raises(TypeError, match="This wrapper is meant for subclasses of"):
        wrap([1])
    with pytest.raises(TypeError, match="No wrapper exists for dataset class FakeData"):
        wrap(datasets.FakeData(1))
    with pytest.raises(RuntimeError, match="SBDataset with mode='boundaries' is currently not"):
        wrap(datasets.SBDataset(str(tmp_path / "a")))
    with pytest.raises(RuntimeError, match=r"`target_type=\['polygon', 'color', ...\]`"):
        wrap(datasets.Cityscapes(str(tmp_path / "a"), target_type="color"))


def test_old_names_warn(tmp_path):
    dataset_cases.mnist(tmp_path)
    dataset = datasets.MNIST(str(tmp_path))
    for old, new in (("train_data", "data"), ("train_labels", "targets")):
        with pytest.warns(UserWarning, match=f"{old} has been renamed {new}"):
            assert getattr(dataset, old) is getattr(dataset, new)


class Response(io.BytesIO):
    """What urlopen gives, ending after `most` bytes."""

    status = 200

    def __init__(self, content, start=0, most=None):
        super().__init__(content[start:][:most])
        self.length = len(content) - start
        self.status = 206 if start else 200


@pytest.fixture
def web(monkeypatch):
    """A network with one file; `web.most` cuts connections short."""

    class Web:
        content = b"abc" * 1000
        most = None
        asked: list = []

    def urlopen(request):
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        Web.asked.append(start)
        return Response(Web.content, start, Web.most)

    Web.asked = []
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return Web


def test_downloads_are_whole_or_absent(tmp_path, web, capsys):
    md5 = hashlib.md5(web.content).hexdigest()
    web.most = 1000
    with pytest.raises(urllib.error.URLError, match="ended after 1000 of 3000 bytes"):
        utils.download_url("http://x/a.bin", tmp_path, md5=md5)
    assert not (tmp_path / "a.bin").exists()
    web.most = None
    utils.download_url("http://x/a.bin", tmp_path, md5=md5)
    assert (tmp_path / "a.bin").read_bytes() == web.content
    assert web.asked == [0, 1000]  # the second attempt went on where the first had ended
    assert "100%" in capsys.readouterr().err
    utils.download_url("http://x/a.bin", tmp_path, md5=md5)
    assert len(web.asked) == 2
    with pytest.raises(RuntimeError, match="File not found or corrupted"):
        utils.download_url("http://x/b.bin", tmp_path, md5="0" * 32)
    assert not list(tmp_path.glob("b.bin*"))


class _Hops(http.server.BaseHTTPRequestHandler):
    """/3 leads to /2, /2 to /1, /1 to /0, which is the file."""

    def do_GET(self):
        left = int(self.path[1:])
        self.send_response(302 if left else 200)
        if left:
            self.send_header("Location", f"/{left - 1}")
        self.send_header("Content-Length", "0" if left else "2")
        self.end_headers()
        self.wfile.write(b"" if left else b"hi")

    def log_message(self, *args):
        pass


def test_redirections_are_followed_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), _Hops) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/3"
        try:
            utils.download_url(url, tmp_path, "a")
            with pytest.raises(RecursionError, match="/3 exceeded 2 redirects. The last .*/0"):
                utils.download_url(url, tmp_path, "b", max_redirect_hops=2)
        finally:
            server.shutdown()
            thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"hi"


def test_without_a_network(tmp_path, monkeypatch):
    def urlopen(request):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(urllib.error.URLError, match=r"could not be downloaded \(no network\)"):
        datasets.SVHN(str(tmp_path), download=True)
    with pytest.raises(RuntimeError, match="Error downloading train-images-idx3-ubyte.gz"):
        datasets.MNIST(str(tmp_path), download=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_download_and_extract(tmp_path, web):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo("inside/a.txt")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"hi"))
    web.content = file.getvalue()
    utils.download_and_extract_archive("http://x/a.tar.gz", tmp_path)
    assert (tmp_path / "inside" / "a.txt").read_text() == "hi"
    with pytest.raises(RuntimeError, match="Unknown compression or archive type: '.foo'"):
        utils.extract_archive(str(tmp_path / "a.foo"))


def test_optional_packages_are_named(tmp_path):
    if importlib.util.find_spec("pycocotools") is None:
        with pytest.raises(NotImplementedError, match="pip install pycocotools"):
            datasets.CocoDetection(str(tmp_path), "x.json")
    with pytest.raises(ValueError, match="Unknown value 'x' for argument split"):
        datasets.DTD(str(tmp_path), split="x")


def test_samplers():
    import torchish as torch
    from torchish.vision.datasets.samplers import (
        DistributedSampler,
        RandomClipSampler,
        UniformClipSampler,
    )
    from torchish.vision.datasets.video_utils import VideoClips

    facts = {
        "video_paths": ["a", "b"],
        "video_pts": [torch.arange(10), torch.arange(7)],
        "video_fps": [30.0, 30.0],
    }
    clips = VideoClips([], 4, 2, _precomputed_metadata=facts)
    assert (len(clips), clips.num_videos(), clips.get_clip_location(5)) == (6, 2, (1, 1))
    assert clips.clips[1].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert list(UniformClipSampler(clips, 2)) == [0, 3, 4, 5]
    torch.manual_seed(0)
    assert sorted(RandomClipSampler(clips, 2))[2:] == [4, 5]
    shares = [list(DistributedSampler(range(10), 2, k, group_size=2)) for k in range(2)]
    assert shares == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 0, 1]]
