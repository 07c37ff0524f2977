"""The data sets' other splits and options: small files for what dataset_cases.py leaves out.

For each option of a class some case gives it; test_dataset_formats.py checks that.
"""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import numpy as np
import scipy.sparse

from tests.vision import dataset_cases
from tests.vision.dataset_cases import Made, builder
from tests.vision.small_files import gray16, img, mat, noise, pfm, txt


@builder
def digits_held_out(r: Path) -> Made:
    dataset_cases.mnist(r)
    line = "7 " + " ".join(f"{k + 1}:{(k % 7) / 3.5 - 1:.3f}" for k in range(256))
    (r / "usps.t.bz2").write_bytes(bz2.compress((line + " \n").encode()))
    mat(r / "extra_32x32.mat", X=noise(32, 32, 3, 2), y=np.array([[10], [4]]))
    return [
        ("MNIST", {}),
        ("FashionMNIST", {"train": False}),
        ("KMNIST", {"train": False}),
        ("EMNIST", {"split": "letters", "train": False}),
        ("QMNIST", {"train": False}),
        ("QMNIST", {"what": "test50k"}),
        ("MovingMNIST", {"split": "train", "split_ratio": 4}),
        ("USPS", {"train": False}),
        ("SVHN", {"split": "extra"}),
    ]


@builder
def lists_held_out(r: Path) -> Made:
    for k, name in enumerate(("banded", "dotted")):
        img(r / "dtd/dtd/images" / name / f"{name}_1.jpg", k)
    txt(r / "dtd/dtd/labels/test3.txt", "banded/banded_1.jpg\n")
    txt(r / "dtd/dtd/labels/val3.txt", "dotted/dotted_1.jpg\n")
    txt(r / "food-101/meta/test.json", json.dumps({"pie": ["pie/1"], "ham": []}))
    img(r / "food-101/images/pie/1.jpg", 1)
    air = r / "fgvc-aircraft-2013b/data"
    txt(air / "manufacturers.txt", "Airbus\nBoeing\n")
    txt(air / "variants.txt", "737-200\nA300B4\n")
    txt(air / "images_manufacturer_test.txt", "0034 Boeing\n")
    txt(air / "images_variant_val.txt", "0035 A300B4\n0034 737-200\n")
    for k in (34, 35):
        img(air / "images" / f"00{k}.jpg", k)
    cars = r / "stanford_cars"
    rows = np.array([("1.jpg", 2), ("2.jpg", 1)], [("fname", "O"), ("class", "u1")])
    mat(cars / "cars_test_annos_withlabels.mat", annotations=rows)
    mat(cars / "devkit/cars_meta.mat", class_names=np.array(["A", "B"], object))
    for k in (1, 2):
        img(cars / "cars_test" / f"{k}.jpg", k)
    for name in ("negative", "positive"):
        img(r / "rendered-sst2/test" / name / "1.png", len(name))
        img(r / "country211/test" / name / "1.jpg", len(name))
    for k, name in enumerate(("n01440764", "n02102040")):
        img(r / "imagenette2/val" / name / "1.JPEG", k)
    img(r / "omniglot-py/images_evaluation/Tibetan/character02/1.png")
    txt(r / "omniglot-py/images_evaluation.zip", "")
    scene = {"image_filename": "0.png", "objects": [0] * 3}
    txt(r / "clevr/CLEVR_v1.0/scenes/CLEVR_val_scenes.json", json.dumps({"scenes": [scene]}))
    img(r / "clevr/CLEVR_v1.0/images/val/0.png")
    return [
        ("DTD", {"split": "test", "partition": 3}),
        ("DTD", {"split": "val", "partition": 3}),
        ("Food101", {"split": "test"}),
        ("FGVCAircraft", {"split": "test", "annotation_level": "manufacturer"}),
        ("FGVCAircraft", {"split": "val"}),
        ("StanfordCars", {"split": "test"}),
        ("RenderedSST2", {"split": "test"}),
        ("Country211", {"split": "test"}),
        ("Imagenette", {"split": "val"}),
        ("Omniglot", {"background": False}),
        ("CLEVRClassification", {"split": "val"}),
    ]


@builder
def things_held_out(r: Path) -> Made:
    names = [f"{k:06d}.jpg" for k in range(1, 5)]  # two of each split: of one it reads none
    for k, name in enumerate(names):
        img(r / "celeba/img_align_celeba" / name, k)
    rows = {
        "list_eval_partition": [f"{name} {1 + k // 2}" for k, name in enumerate(names)],
        "identity_CelebA": [f"{name} {k}" for k, name in enumerate(names)],
        "list_bbox_celeba": ["4", "x y", *(f"{name} 1 2" for name in names)],
        "list_landmarks_align_celeba": ["4", "a b", *(f"{name} 5 6" for name in names)],
        "list_attr_celeba": ["4", "Bald Young", *(f"{name} -1 1" for name in names)],
    }
    for name, lines in rows.items():
        txt(r / f"celeba/{name}.txt", "\n".join(lines) + "\n")
    img(r / "widerface/WIDER_val/images/1--Hall/1.jpg")
    for name in ("train", "test"):
        img(r / f"widerface/WIDER_{name}/images/1--Hall/1.jpg")
    boxes = "1--Hall/1.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n1--Hall/1.jpg\n1\n1 2 3 4 0 0 1 0 0 1 \n"
    txt(r / "widerface/wider_face_split/wider_face_val_bbx_gt.txt", boxes)
    lfw = r / "lfw-py"
    for kind in ("lfw", "lfw-deepfunneled"):
        txt(lfw / f"{kind}.tgz", "")
        for name in ("Ann_A/Ann_A_0001", "Ann_A/Ann_A_0002", "Bob_B/Bob_B_0001"):
            img(lfw / kind / f"{name}.jpg", len(name))
    txt(lfw / "lfw-names.txt", "Ann_A\t2\nBob_B\t1\n")
    txt(lfw / "peopleDevTrain.txt", "2\nAnn_A\t2\nBob_B\t1\n")
    pair = "Ann_A\t1\t2\nAnn_A\t1\tBob_B\t1\n"
    txt(lfw / "pairs.txt", f"2\t1\n{pair}{pair}")
    pet = r / "oxford-iiit-pet"
    txt(pet / "annotations/test.txt", "big_dog_2 2 2 1\n")
    img(pet / "images/big_dog_2.jpg")
    img(pet / "annotations/trimaps/big_dog_2.png", mode="L")
    for year in ("2017/Aves/0", "2018/Aves/0", "2018/Fungi/1"):
        img(r / year / "1.jpg", len(year))
    txt(r / "categories_places365.txt", "/a/airfield 0\n/b/bar 1\n")
    txt(r / "places365_train_standard.txt", "/b/bar/1.jpg 1\n")
    img(r / "data_large_standard/b/bar/1.jpg")
    return [
        ("CelebA", {"split": "valid", "target_type": []}),
        ("CelebA", {"split": "test"}),
        ("WIDERFace", {"split": "val"}),
        ("LFWPeople", {"split": "train", "image_set": "original"}),
        ("LFWPairs", {"image_set": "deepfunneled"}),
        ("OxfordIIITPet", {"split": "test"}),
        ("INaturalist", {"version": "2017"}),
        ("INaturalist", {"version": "2018", "target_type": "super"}),
        ("Places365", {}),
    ]


@builder
def scenes_held_out(r: Path) -> Made:
    old, middle = r / "VOCdevkit/VOC2007", r / "TrainVal/VOCdevkit/VOC2011"
    txt(old / "ImageSets/Segmentation/test.txt", "1\n")
    img(old / "JPEGImages/1.jpg")
    img(old / "SegmentationClass/1.png", 1, mode="L")
    txt(middle / "ImageSets/Main/trainval.txt", "2\n")
    img(middle / "JPEGImages/2.jpg", 2)
    txt(middle / "Annotations/2.xml", "<annotation><object><name>cow</name></object></annotation>")
    name = "aachen/aachen_0"
    img(r / "leftImg8bit/train_extra" / f"{name}_leftImg8bit.png")
    img(r / "gtCoarse/train_extra" / f"{name}_gtCoarse_labelIds.png", mode="L")
    for number in ("000002", "000003"):
        img(r / "Kitti/raw/testing/image_2" / f"{number}.png", int(number))
    outlines = np.empty((20, 1), object)
    for k in range(20):
        outlines[k, 0] = scipy.sparse.csc_matrix(np.eye(6, 8) * (k % 3))
    record = np.array([(outlines, noise(6, 8))], [("Boundaries", "O"), ("Segmentation", "O")])
    mat(r / "cls/4.mat", GTcls=record)
    img(r / "img/4.jpg")
    txt(r / "val.txt", "4\n")
    for k, place in enumerate(("a/1.png", "a/2.png", "b/3.png")):
        img(r / "pictures" / place, k)
    return [
        ("VOCSegmentation", {"year": "2007", "image_set": "test"}),
        ("VOCDetection", {"year": "2011", "image_set": "trainval"}),
        ("Cityscapes", {"split": "train_extra", "mode": "coarse", "target_type": "semantic"}),
        ("Kitti", {"train": False}),
        ("SBDataset", {"image_set": "val"}),
        ("ImageFolder", {"folder": "pictures", "is_valid_file": _is_odd}),
        ("DatasetFolder", {"folder": "pictures", "loader": _size, "is_valid_file": _is_odd}),
    ]


def _is_odd(path: str) -> bool:
    return path.endswith(("1.png", "3.png"))


def _size(path: str) -> int:
    return len(Path(path).name)


@builder
def stereo_held_out(r: Path) -> Made:
    for side in (0, 1):
        img(r / "Kitti2012/testing" / f"colored_{side}" / "1_10.png", side)
        img(r / "Kitti2015/testing" / f"image_{side + 2}" / "1.png", side)
        img(r / "Middlebury2014/test/Plants" / f"im{side}.png", side)
        for scene in ("train/Piano-perfect", "train/Piano-imperfect", "additional/Mask-imperfect"):
            img(r / "Middlebury2014" / scene / f"im{side}.png", side)
            pfm(r / "Middlebury2014" / scene / f"disp{side}.pfm", side)
        img(r / "ETH3D/two_view_test/a" / f"im{side}.png", side)
    for k, name in enumerate(("im1E", "im1L")):
        img(r / "Middlebury2014/additional/Mask-imperfect" / f"{name}.png", 7 + k)
    settings = {"camera_settings": [{"intrinsic_settings": {"fx": 768.2}}]}
    for place in ("single/can/s", "mixed/s"):
        txt(r / "FallingThings" / place / "_camera_settings.json", json.dumps(settings))
    for side in ("left", "right"):
        for place in ("single/can/s", "mixed/s"):
            img(r / "FallingThings" / place / f"0.{side}.jpg", len(side))
            gray16(r / "FallingThings" / place / f"0.{side}.depth.png", len(side))
        for flow, tail in (("FlyingThings3D", "TRAIN/A/0"), ("Driving", "15mm/forwards/fast")):
            for k, kind in enumerate(("frames_cleanpass", "frames_finalpass")):
                img(r / "SceneFlow" / flow / kind / tail / side / "0.png", len(side) + k)
            pfm(r / "SceneFlow" / flow / "disparity" / tail / side / "0.pfm", len(side))
        for k, kind in enumerate(("clean", "final")):
            img(r / "Sintel/training" / f"{kind}_{side}" / "alley/1.png", len(side) + k)
        img(r / "InStereo2k/test/a" / f"{side}.png", len(side))
        gray16(r / "InStereo2k/test/a" / f"{side}_disp.png", len(side))
    for kind in ("disparities", "occlusions", "outofframe"):
        img(r / "Sintel/training" / kind / "alley/1.png", mode="RGB" if "dis" in kind else "1")
    return [
        ("Kitti2012Stereo", {"split": "test"}),
        ("Kitti2015Stereo", {"split": "test"}),
        ("Middlebury2014Stereo", {"calibration": "both"}),
        ("Middlebury2014Stereo", {"split": "test", "calibration": None}),
        ("Middlebury2014Stereo", {"split": "additional", "calibration": "imperfect",
                                  "use_ambient_views": True}),
        ("FallingThingsStereo", {"variant": "both"}),
        ("SceneFlowStereo", {"pass_name": "both"}),
        ("SceneFlowStereo", {"variant": "Driving", "pass_name": "final"}),
        ("SintelStereo", {"pass_name": "both"}),
        ("InStereo2k", {"split": "test"}),
        ("ETH3DStereo", {"split": "test"}),
    ]  # fmt: skip


@builder
def videos_held_out(r: Path) -> Made:
    for place in ("val/abseiling", "clips/jump", "clips/run"):
        for name in ("a_1.avi", "b_2.avi", "c_3.mov"):
            txt(r / place / name, "")
    txt(r / "lists/trainlist01.txt", "jump/a_1.avi 1\nrun/b_2.avi 2\n")
    txt(r / "lists/jump_test_split1.txt", "a_1.avi 1\nb_2.avi 2\n")
    clips = {"folder": "clips", "annotation_path": str(r / "lists"), "frames_per_clip": 1}
    facts = {"step_between_clips": 3, "frame_rate": 15}
    return [
        ("Kinetics", {"videos": 3, "frames_per_clip": 1, "num_classes": "600", "split": "val",
                      "frame_rate": 15, "extensions": ("avi", "mov"),
                      "output_format": "THWC"}),
        ("UCF101", {**clips, **facts, "videos": 4, "output_format": "TCHW"}),
        ("HMDB51", {**clips, **facts, "videos": 4, "fold": 1}),
    ]  # fmt: skip
