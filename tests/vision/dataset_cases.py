"""Small files in the formats of torchvision's data sets; dataset_reading.py reads them."""

from __future__ import annotations

import bz2
import json
import pickle
import tarfile
from collections.abc import Callable
from os.path import basename
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse

from tests.vision.small_files import flo, gray16, idx, img, mat, noise, pfm, txt

Made = list[tuple[str, dict[str, Any]]]
BUILDERS: dict[str, Callable[[Path], Made]] = {}


def builder(function: Callable[[Path], Made]) -> Callable[[Path], Made]:
    BUILDERS[function.__name__] = function
    return function


@builder
def mnist(r: Path) -> Made:
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        for part, count in (("train", 3), ("t10k", 2)):
            idx(r / name / "raw" / f"{part}-images-idx3-ubyte", noise(count, 28, 28))
            idx(r / name / "raw" / f"{part}-labels-idx1-ubyte", np.arange(count))
    for part in ("train", "test"):
        idx(r / "EMNIST/raw" / f"emnist-letters-{part}-images-idx3-ubyte", noise(2, 28, 28))
        idx(r / "EMNIST/raw" / f"emnist-letters-{part}-labels-idx1-ubyte", np.array([3, 9]))
        idx(r / "QMNIST/raw" / f"qmnist-{part}-images-idx3-ubyte", noise(2, 28, 28))
        labels = np.arange(16).reshape(2, 8)
        idx(r / "QMNIST/raw" / f"qmnist-{part}-labels-idx2-int", labels, 12)
    (r / "MovingMNIST").mkdir()
    np.save(r / "MovingMNIST" / "mnist_test_seq.npy", noise(20, 2, 6, 6))
    return [
        ("MNIST", {"train": False}),
        ("FashionMNIST", {}),
        ("KMNIST", {}),
        ("EMNIST", {"split": "letters"}),
        ("QMNIST", {}),
        ("QMNIST", {"what": "test10k", "compat": False}),
        ("MovingMNIST", {}),
        ("MovingMNIST", {"split": "test", "split_ratio": 15}),
    ]


@builder
def arrays(r: Path) -> Made:
    for folder, names, key in (
        ("cifar-10-batches-py", [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], ""),
        ("cifar-100-python", ["train", "test"], "fine_"),
    ):
        (r / folder).mkdir()
        for k, name in enumerate(names):
            batch = {"data": noise(2, 3072, seed=k), f"{key}labels": [k, 1]}
            (r / folder / name).write_bytes(pickle.dumps(batch, 2))
        meta = {f"{key}label_names": ["a", "b"]} if key else {"label_names": ["a", "b"]}
        name = "meta" if key else "batches.meta"
        (r / folder / name).write_bytes(pickle.dumps(meta, 2))
    rows = [" ".join(["0.0", "1.0"] * 128 + ["0", "1"] + ["0"] * 8) for _ in range(2)]
    txt(r / "semeion.data", "\n".join(rows))
    mat(r / "train_32x32.mat", X=noise(32, 32, 3, 4), y=np.array([[10], [1], [2], [9]]))
    line = "3 " + " ".join(f"{k + 1}:{(k % 5) / 2.5 - 1:.3f}" for k in range(256))
    (r / "usps.bz2").write_bytes(bz2.compress((line + " \n" + line + " \n").encode()))
    stl = r / "stl10_binary"
    stl.mkdir()
    for name, count in (("train", 3), ("test", 1), ("unlabeled", 2)):
        (stl / f"{name}_X.bin").write_bytes(noise(count, 3, 96, 96).tobytes())
        (stl / f"{name}_y.bin").write_bytes(bytes(range(1, count + 1)))
    txt(stl / "fold_indices.txt", "0 2 \n" * 10)
    txt(stl / "class_names.txt", "airplane\nbird\n")
    pixels = " ".join(str(k % 256) for k in range(48 * 48))
    txt(r / "fer2013/train.csv", f"emotion,pixels\n3,{pixels}\n0,{pixels}\n")
    txt(r / "fer2013/test.csv", f"pixels\n{pixels}\n")
    return [
        ("CIFAR10", {}),
        ("CIFAR10", {"train": False}),
        ("CIFAR100", {"train": False}),
        ("SEMEION", {"download": False}),
        ("SVHN", {}),
        ("USPS", {}),
        ("STL10", {}),
        ("STL10", {"split": "train+unlabeled", "folds": 3}),
        ("STL10", {"split": "test"}),
        ("FER2013", {}),
        ("FER2013", {"split": "test"}),
        ("wrap:CIFAR10", {}),
        ("wrap:CIFAR100", {}),
    ]


@builder
def lists(r: Path) -> Made:
    for k, name in enumerate(("banded", "dotted")):
        img(r / "dtd/dtd/images" / name / f"{name}_1.jpg", k)
    txt(r / "dtd/dtd/labels/train1.txt", "dotted/dotted_1.jpg\nbanded/banded_1.jpg\n")
    txt(r / "food-101/meta/train.json", json.dumps({"pie": ["pie/1", "pie/2"], "ham": ["ham/3"]}))
    for k, name in enumerate(("pie/1", "pie/2", "ham/3")):
        img(r / "food-101/images" / f"{name}.jpg", k)
    air = r / "fgvc-aircraft-2013b/data"
    txt(air / "families.txt", "A300\nBoeing 737\n")
    txt(air / "images_family_trainval.txt", "0034 Boeing 737\n0035 A300\n")
    for k in (34, 35):
        img(air / "images" / f"00{k}.jpg", k)
    mat(r / "flowers-102/setid.mat", trnid=[2, 3], valid=[1, 3], tstid=[1, 2])
    mat(r / "flowers-102/imagelabels.mat", labels=[5, 7, 9])
    for k in (1, 2, 3):
        img(r / "flowers-102/jpg" / f"image_{k:05d}.jpg", k)
    clevr = r / "clevr/CLEVR_v1.0"
    scenes = [{"image_filename": f"{k}.png", "objects": [0] * (k + 2)} for k in range(2)]
    txt(clevr / "scenes/CLEVR_train_scenes.json", json.dumps({"scenes": scenes}))
    for k in range(2):
        img(clevr / "images/train" / f"{k}.png", k)
        img(clevr / "images/test" / f"{k}.png", k)
    txt(r / "SUN397/ClassName.txt", "/a/abbey\n")
    img(r / "SUN397/a/abbey/sun_1.jpg")
    cars = r / "stanford_cars"
    kinds = [("fname", "O"), ("class", "u1")]
    rows = np.array([("1.jpg", 2), ("2.jpg", 1)], kinds)
    mat(cars / "devkit/cars_train_annos.mat", annotations=rows)
    mat(cars / "devkit/cars_meta.mat", class_names=np.array(["A", "B"], object))
    for k in (1, 2):
        img(cars / "cars_train" / f"{k}.jpg", k)
    for name in ("negative", "positive"):
        img(r / "rendered-sst2/valid" / name / "1.png", len(name))
        img(r / "country211/valid" / name / "1.jpg", len(name))
        img(r / "eurosat/2750" / name / "1.jpg", len(name))
    for k in range(2):
        img(r / "gtsrb/GTSRB/Training" / f"0000{k}" / "1.ppm", k)
        img(r / "gtsrb/GTSRB/Final_Test/Images" / f"{k}.ppm", k)
    txt(r / "gtsrb/GT-final_test.csv", "Filename;ClassId\n0.ppm;7\n1.ppm;2\n")
    for k, name in enumerate(("n01440764", "n02102040")):
        img(r / "imagenette2-160/train" / name / "1.JPEG", k)
    img(r / "omniglot-py/images_background/Greek/character01/1.png")
    txt(r / "omniglot-py/images_background.zip", "")
    return [
        ("DTD", {}),
        ("Food101", {}),
        ("FGVCAircraft", {"annotation_level": "family"}),
        ("Flowers102", {}),
        ("Flowers102", {"split": "val"}),
        ("CLEVRClassification", {}),
        ("CLEVRClassification", {"split": "test"}),
        ("SUN397", {}),
        ("StanfordCars", {}),
        ("RenderedSST2", {"split": "val"}),
        ("Country211", {"split": "valid"}),
        ("EuroSAT", {}),
        ("GTSRB", {}),
        ("GTSRB", {"split": "test"}),
        ("wrap:GTSRB", {}),
        ("Imagenette", {"size": "160px"}),
        ("wrap:Imagenette", {"size": "160px"}),
        ("Omniglot", {}),
    ]


@builder
def faces_and_things(r: Path) -> Made:
    for name in ("BACKGROUND_Google", "anchor", "Faces"):
        img(r / "caltech101/101_ObjectCategories" / name / "image_0001.jpg", len(name))
    for name in ("anchor", "Faces_2"):
        mat(r / "caltech101/Annotations" / name / "annotation_0001.mat", obj_contour=np.eye(2))
    img(r / "caltech256/256_ObjectCategories/001.ak47/001_0001.jpg")
    celeba = r / "celeba"
    names = ["000001.jpg", "000002.jpg", "000003.jpg"]
    for k, name in enumerate(names):
        img(celeba / "img_align_celeba" / name, k)
    txt(celeba / "list_eval_partition.txt", "000001.jpg 0\n000002.jpg 0\n000003.jpg 1\n")
    txt(celeba / "identity_CelebA.txt", "000001.jpg 12\n000002.jpg 13\n000003.jpg 7\n")
    txt(
        celeba / "list_bbox_celeba.txt",
        "2\nid x y w h\n" + "\n".join(f"{n} 1 2 3 4" for n in names),
    )
    txt(
        celeba / "list_landmarks_align_celeba.txt",
        "2\na b\n" + "\n".join(f"{n}  5 6" for n in names),
    )
    txt(celeba / "list_attr_celeba.txt", "2\nBald Young\n" + "\n".join(f"{n} -1  1" for n in names))
    wider = r / "widerface"
    for name in ("train", "val", "test"):
        img(wider / f"WIDER_{name}" / "images/0--Parade/1.jpg", len(name))
    rows = "0--Parade/1.jpg\n2\n1 2 3 4 0 0 1 0 0 1 \n5 6 7 8 1 1 0 0 2 0 \n"
    txt(wider / "wider_face_split/wider_face_train_bbx_gt.txt", rows)
    txt(wider / "wider_face_split/wider_face_test_filelist.txt", "0--Parade/1.jpg\n")
    lfw = r / "lfw-py"
    txt(lfw / "lfw-funneled.tgz", "")
    txt(lfw / "lfw-names.txt", "Ann_A\t2\nBob_B\t1\n")
    txt(lfw / "people.txt", "2\n1\nAnn_A\t2\n1\nBob_B\t1\n")
    txt(lfw / "pairsDevTest.txt", "1\nAnn_A\t1\t2\nAnn_A\t1\tBob_B\t1\n")
    for name in ("Ann_A/Ann_A_0001", "Ann_A/Ann_A_0002", "Bob_B/Bob_B_0001"):
        img(lfw / "lfw_funneled" / f"{name}.jpg", len(name))
    pet = r / "oxford-iiit-pet"
    txt(pet / "annotations/trainval.txt", "Abyssinian_1 1 1 1\nbig_dog_2 2 2 1\n")
    for name in ("Abyssinian_1", "big_dog_2"):
        img(pet / "images" / f"{name}.jpg", len(name))
        img(pet / "annotations/trimaps" / f"{name}.png", len(name), mode="L")
    for rank in ("00000_Animalia_B_C_D_E_F_g", "00001_Animalia_X_C_D_E_F_h"):
        img(r / "2021_valid" / rank / "1.jpg", len(rank))
    img(r / "2019/Fungi/0/1.jpg")
    img(r / "2019/Birds/1/1.jpg", 1)
    txt(r / "flickr30k.txt", "1.jpg#0\tA dog .\n1.jpg#1\tIt runs .\n")
    img(r / "1.jpg", 9)
    img(r / "7_a.jpg", 4)
    page = "<table><a>http://x/7/</a><ul><li>A cat .</li><li> Two .</li></ul></table>"
    txt(r / "flickr8k.html", page)
    txt(r / "SBUCaptionedPhotoDataset.tar.gz", "")
    txt(r / "dataset/SBU_captioned_photo_dataset_urls.txt", "http://x/1.jpg\nhttp://x/2.jpg\n")
    txt(r / "dataset/SBU_captioned_photo_dataset_captions.txt", "one\ntwo\n")
    img(r / "dataset/2.jpg", 2)
    txt(r / "categories_places365.txt", "/a/airfield 0\n/b/bar 1\n")
    txt(r / "places365_val.txt", "Places365_val_1.jpg 1\n")
    img(r / "val_256/Places365_val_1.jpg", 3)
    return [
        ("Caltech101", {"target_type": ["category", "annotation"]}),
        ("Caltech256", {}),
        ("CelebA", {"target_type": ["attr", "identity", "bbox", "landmarks"]}),
        ("CelebA", {"split": "all", "target_type": "bbox"}),
        ("WIDERFace", {}),
        ("WIDERFace", {"split": "test"}),
        ("LFWPeople", {}),
        ("LFWPairs", {"split": "test"}),
        ("OxfordIIITPet", {"target_types": ["category", "binary-category", "segmentation"]}),
        ("INaturalist", {"version": "2021_valid", "target_type": ["full", "phylum"]}),
        ("INaturalist", {"version": "2019", "target_type": ["full", "super"]}),
        ("Flickr30k", {"ann_file": str(r / "flickr30k.txt")}),
        ("Flickr8k", {"ann_file": str(r / "flickr8k.html")}),
        ("SBU", {"download": False}),
        ("Places365", {"split": "val", "small": True}),
        ("wrap:Caltech101", {}),
        ("wrap:Caltech256", {}),
        ("wrap:CelebA", {"target_type": ["identity", "bbox"]}),
        ("wrap:CelebA", {"target_type": "bbox"}),
        ("wrap:WIDERFace", {}),
        ("wrap:WIDERFace", {"target_keys": ["bbox", "pose"]}),
        ("wrap:WIDERFace", {"split": "test"}),
        ("wrap:OxfordIIITPet", {"target_types": ["category", "segmentation"]}),
        ("wrap:OxfordIIITPet", {"target_types": "segmentation"}),
    ]


@builder
def scenes(r: Path) -> Made:
    voc = r / "VOCdevkit/VOC2012"
    for kind in ("Segmentation", "Main"):
        txt(voc / "ImageSets" / kind / "train.txt", "2007_1\n")
    img(voc / "JPEGImages/2007_1.jpg")
    img(voc / "SegmentationClass/2007_1.png", 1, mode="L")
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>"
    objects = "".join(f"<object><name>{name}</name>{box}</object>" for name in ("dog", "cat"))
    txt(voc / "Annotations/2007_1.xml", f"<annotation><folder>V</folder>{objects}</annotation>")
    city = "aachen/aachen_0"
    img(r / "leftImg8bit/train" / f"{city}_leftImg8bit.png")
    for kind in ("instanceIds", "labelIds", "color"):
        img(r / "gtFine/train" / f"{city}_gtFine_{kind}.png", len(kind), mode="L")
    txt(r / "gtFine/train" / f"{city}_gtFine_polygons.json", '{"objects": [1]}')
    kitti = r / "Kitti/raw/training"
    img(kitti / "image_2/000001.png")
    img(r / "Kitti/raw/testing/image_2/000002.png")
    row = "Car 0.1 1 1.5 " + " ".join(str(k + 0.5) for k in range(11))
    txt(kitti / "label_2/000001.txt", f"{row}\n{row.replace('Car', 'Van')}\n")
    txt(r / "train.txt", "1\n")
    img(r / "img/1.jpg")
    outlines = np.empty((20, 1), object)
    for k in range(20):
        outlines[k, 0] = scipy.sparse.csc_matrix(np.eye(6, 8) * (k % 2))
    kinds = [("Boundaries", "O"), ("Segmentation", "O")]
    record = np.array([(outlines, noise(6, 8))], kinds)
    mat(r / "cls/1.mat", GTcls=record)
    tour = r / "liberty"
    img(tour / "patches0000.bmp", size=(128, 64), mode="L")
    txt(tour / "info.txt", "5 0\n6 0\n")
    txt(tour / "m50_100000_100000_0.txt", "0 5 0 1 6 0 0\n")
    return [
        ("VOCSegmentation", {}),
        ("VOCDetection", {}),
        ("Cityscapes", {"target_type": ["instance", "semantic", "polygon", "color"]}),
        ("Kitti", {}),
        ("SBDataset", {}),
        ("SBDataset", {"mode": "segmentation"}),
        ("PhotoTour", {"name": "liberty"}),
        ("PhotoTour", {"name": "liberty", "train": False}),
        ("wrap:VOCSegmentation", {}),
        ("wrap:VOCDetection", {}),
        ("wrap:VOCDetection", {"target_keys": "all"}),
        ("wrap:Cityscapes", {"target_type": ["instance", "semantic"]}),
        ("wrap:Kitti", {}),
        ("wrap:Kitti", {"target_keys": "all"}),
        ("wrap:Kitti", {"train": False}),
        ("wrap:SBDataset", {"mode": "segmentation"}),
    ]


@builder
def motion(r: Path) -> Made:
    for k in range(3):
        img(r / "Sintel/training/clean/alley" / f"frame_{k}.png", k)
        img(r / "Sintel/training/final_left/alley" / f"{k}.png", k)
        img(r / "Sintel/training/final_right/alley" / f"{k}.png", k + 1)
        for kind in ("disparities", "occlusions", "outofframe"):
            mode = "RGB" if kind == "disparities" else "1"
            img(r / "Sintel/training" / kind / "alley" / f"{k}.png", k + 2, mode=mode)
    for k in range(2):
        flo(r / "Sintel/training/flow/alley" / f"frame_{k}.flo", k)
        img(r / "FlyingChairs/data" / f"0_img{k}.ppm", k)
    flo(r / "FlyingChairs/data/0_flow.flo")
    txt(r / "FlyingChairs/FlyingChairs_train_val.txt", "1\n2\n")
    things = r / "FlyingThings3D"
    for k in range(3):
        img(things / "frames_cleanpass/TRAIN/A/0/left" / f"{k}.png", k)
        for way in ("into_future", "into_past"):
            pfm(things / "optical_flow/TRAIN/A/0" / way / "left" / f"{k}.pfm", k, 3)
    for side in (0, 1):
        img(r / "carla-highres/trainingF/a" / f"im{side}.png", side)
        pfm(r / "carla-highres/trainingF/a" / f"disp{side}GT.pfm", side)
        img(r / "Kitti2012/training" / f"colored_{side}" / "1_10.png", side)
        img(r / "Kitti2015/training" / f"image_{side + 2}" / "1.png", side)
        gray16(r / "Kitti2015/training" / f"disp_occ_{side}" / "1.png", side)
        img(r / "Middlebury2014/train/Piano-perfect" / f"im{side}.png", side)
        pfm(r / "Middlebury2014/train/Piano-perfect" / f"disp{side}.pfm", side)
        img(r / "ETH3D/two_view_training/a" / f"im{side}.png", side)
    gray16(r / "Kitti2012/training/disp_noc/1_10.png")
    pfm(r / "ETH3D/two_view_training_gt/a/disp0GT.pfm")
    img(r / "ETH3D/two_view_training_gt/a/mask0nocc.png", mode="1")
    for side in ("left", "right"):
        for kind in ("shapenet", "reflective", "tree", "hole"):
            img(r / "CREStereo" / kind / f"1_{side}.jpg", len(side))
            gray16(r / "CREStereo" / kind / f"1_{side}.disp.png", len(side))
        things = r / "FallingThings/single/can/s"
        img(things / f"0.{side}.jpg", len(side))
        gray16(things / f"0.{side}.depth.png", len(side))
        img(r / "SceneFlow/Monkaa/frames_cleanpass/a" / side / "0.png", len(side))
        pfm(r / "SceneFlow/Monkaa/disparity/a" / side / "0.pfm", len(side))
        img(r / "InStereo2k/train/a" / f"{side}.png", len(side))
        gray16(r / "InStereo2k/train/a" / f"{side}_disp.png", len(side))
    settings = {"camera_settings": [{"intrinsic_settings": {"fx": 768.2}}]}
    txt(r / "FallingThings/single/can/s/_camera_settings.json", json.dumps(settings))
    return [
        ("Sintel", {}),
        ("FlyingChairs", {}),
        ("FlyingThings3D", {}),
        ("CarlaStereo", {}),
        ("Kitti2012Stereo", {}),
        ("Kitti2015Stereo", {}),
        ("Middlebury2014Stereo", {}),
        ("CREStereo", {}),
        ("FallingThingsStereo", {}),
        ("SceneFlowStereo", {"variant": "Monkaa"}),
        ("SintelStereo", {}),
        ("InStereo2k", {}),
        ("ETH3DStereo", {}),
    ]


@builder
def flows(r: Path) -> Made:
    sides = ("left", "right")
    for k in range(3):
        for side in sides:
            img(r / "FlyingThings3D/frames_finalpass/TEST/A/0" / side / f"{k}.png", k)
            for way in ("into_future", "into_past"):
                folder = r / "FlyingThings3D/optical_flow/TEST/A/0" / way / side
                pfm(folder / f"{k}.pfm", k, 3)
        img(r / "Sintel/test/final/alley" / f"frame_{k}.png", k)
        img(r / "FlyingChairs/data" / f"{k}_img1.ppm", k)
        img(r / "FlyingChairs/data" / f"{k}_img2.ppm", k + 1)
        flo(r / "FlyingChairs/data" / f"{k}_flow.flo", k)
    for number in (10, 11):
        img(r / "KittiFlow/testing/image_2" / f"0_{number}.png", number)
        img(r / "hd1k/hd1k_challenge/image_2" / f"0_{number}.png", number)
    txt(r / "FlyingChairs/FlyingChairs_train_val.txt", "1\n2\n1\n")
    return [
        ("Sintel", {"split": "test", "pass_name": "final"}),
        ("FlyingChairs", {"split": "val"}),
        ("FlyingThings3D", {"split": "test", "pass_name": "final", "camera": "both"}),
        ("KittiFlow", {"split": "test"}),
        ("HD1K", {"split": "test"}),
    ]


@builder
def folders(r: Path) -> Made:
    for k, name in enumerate(("b/1.png", "b/2.jpg", "a/x/3.png")):
        img(r / "pictures" / name, k)
    (r / "pictures/c").mkdir()
    wnids = ["n01440764", "n02102040", "n00000000"]
    kinds = [(n, "O") for n in ("ILSVRC2012_ID", "WNID", "words", "gloss")]
    synsets = [(k + 1, w, f"name {k}, other {k}", "", k // 2) for k, w in enumerate(wnids)]
    devkit = r / "devkit/ILSVRC2012_devkit_t12/data"
    mat(devkit / "meta.mat", synsets=np.array(synsets, [*kinds, ("num_children", "u1")]))
    txt(devkit / "ILSVRC2012_validation_ground_truth.txt", "2\n1\n")
    for k in range(2):
        img(r / "val_images" / f"ILSVRC2012_val_{k}.JPEG", k)
    for name, source in (
        ("ILSVRC2012_devkit_t12.tar.gz", "devkit"),
        ("ILSVRC2012_img_val.tar", "val_images"),
    ):
        with tarfile.open(r / name, "w:gz" if name.endswith("gz") else "w") as archive:
            for path in sorted((r / source).iterdir()):
                archive.add(path, path.name)
    return [
        ("ImageFolder", {"folder": "pictures", "allow_empty": True}),
        ("DatasetFolder", {"folder": "pictures", "loader": basename, "extensions": (".png",),
                           "allow_empty": True}),
        ("ImageNet", {"split": "val"}),
        ("wrap:ImageFolder", {"folder": "pictures", "allow_empty": True}),
    ]  # fmt: skip


@builder
def videos(r: Path) -> Made:
    """Empty files: what is in them is `clip`'s, so that no decoder is needed."""
    for place in ("train/abseiling", "train/yoga", "clips/jump", "clips/run"):
        for name in ("a_1", "b_2"):
            ending = "mp4" if place.startswith("train") else "avi"
            txt(r / place / f"{name}.{ending}", "")
    txt(r / "lists/trainlist01.txt", "jump/a_1.avi 1\nrun/b_2.avi 2\n")
    txt(r / "lists/testlist02.txt", "run/a_1.avi\n")
    txt(r / "lists/jump_test_split1.txt", "a_1.avi 1\nb_2.avi 2\n")
    folds = {"folder": "clips", "annotation_path": str(r / "lists"), "frames_per_clip": 2}
    frames = {"videos": 4, "frames_per_clip": 2, "step_between_clips": 2}
    return [
        ("Kinetics", frames),
        ("UCF101", {**folds, "videos": 4}),
        ("UCF101", {**folds, "videos": 4, "fold": 2, "train": False}),
        ("HMDB51", {**folds, "videos": 4, "output_format": "TCHW"}),
        ("HMDB51", {**folds, "videos": 4, "train": False}),
        ("wrap:Kinetics", frames),
        ("wrap:HMDB51", {**folds, "videos": 4, "output_format": "TCHW"}),
    ]


@builder
def coco(r: Path) -> Made:
    polygon = {"segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]], "area": 12.0, "iscrowd": 0}
    runs = {"segmentation": {"counts": [3, 5, 40], "size": [6, 8]}, "area": 5.0, "iscrowd": 1}
    marks = [
        {**polygon, "id": 1, "image_id": 7, "bbox": [1.0, 1.0, 4.0, 3.0], "category_id": 2},
        {**runs, "id": 2, "image_id": 7, "bbox": [0.0, 3.0, 1.0, 3.0], "category_id": 1},
    ]
    pictures = [{"id": k, "file_name": f"{k}.png", "height": 6, "width": 8} for k in (7, 9)]
    for k in (7, 9):
        img(r / f"{k}.png", k)
    kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    whole = {"images": pictures, "annotations": marks, "categories": kinds}
    txt(r / "objects.json", json.dumps(whole))
    said = [{"id": k, "image_id": 7 + k, "caption": f"text {k}"} for k in (0, 2)]
    txt(r / "captions.json", json.dumps({"images": pictures, "annotations": said}))
    objects, captions = {"annFile": str(r / "objects.json")}, {"annFile": str(r / "captions.json")}
    return [
        ("CocoDetection", objects),
        ("CocoCaptions", captions),
        ("wrap:CocoDetection", objects),
        ("wrap:CocoDetection", {**objects, "target_keys": "all"}),
        ("wrap:CocoCaptions", captions),
    ]


@builder
def databases(r: Path) -> Made:
    import lmdb

    for name, count in (("bridge_val", 2), ("tower_val", 1)):
        with (
            lmdb.open(str(r / f"{name}_lmdb"), map_size=2**20) as store,
            store.begin(write=True) as transaction,
        ):
            for k in range(count):
                img(r / "one.png", k)
                transaction.put(f"key{k}".encode(), (r / "one.png").read_bytes())
    return [
        ("LSUN", {"classes": ["bridge_val", "tower_val"]}),
        ("LSUNClass", {"folder": "bridge_val_lmdb"}),
    ]


@builder
def tissue(r: Path) -> Made:
    import h5py

    (r / "pcam").mkdir()
    for kind, array in (("x", noise(2, 6, 6, 3)), ("y", np.array([1, 0]).reshape(2, 1, 1, 1))):
        path = r / "pcam" / f"camelyonpatch_level_2_split_test_{kind}.h5"
        with h5py.File(path, "w") as file:
            file[kind] = array
    return [("PCAM", {"split": "test"})]


# Packages that a builder's data sets are read with.
NEEDS = {"coco": "pycocotools", "databases": "lmdb", "tissue": "h5py"}
