"""Flickr 8k and 30k: images with captions."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from html.parser import HTMLParser
from typing import Any

from .folder import default_loader
from .vision import Transform, VisionDataset


class Flickr8kParser(HTMLParser):
    """Reads captions from a table in a page: a link to each image, then its captions as a list."""

    def __init__(self, root: Any) -> None:
        super().__init__()
        self.root = root
        self.annotations: dict[str, list[str]] = {}
        self.in_table = False
        self.current_tag: str | None = None
        self.current_img: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.current_tag = tag
        self.in_table = self.in_table or tag == "table"

    def handle_endtag(self, tag: str) -> None:
        self.current_tag = None
        self.in_table = self.in_table and tag != "table"

    def handle_data(self, data: str) -> None:
        if not self.in_table:
            return
        if data == "Image Not Found":
            self.current_img = None
        elif self.current_tag == "a":
            name = data.split("/")[-2]
            self.current_img = glob.glob(os.path.join(self.root, f"{name}_*.jpg"))[0]
            self.annotations[self.current_img] = []
        elif self.current_tag == "li" and self.current_img:
            self.annotations[self.current_img].append(data.strip())


class _Captioned(VisionDataset):
    def __init__(
        self,
        root: Any,
        ann_file: str,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.ann_file = os.path.expanduser(ann_file)
        self.annotations = self._captions()
        self.ids = sorted(self.annotations)
        self.loader = loader

    def _captions(self) -> dict[str, list[str]]:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name = self.ids[index]
        image = self.loader(os.path.join(self.root, name))
        return self._transformed(image, self.annotations[name])

    def __len__(self) -> int:
        return len(self.ids)


class Flickr8k(_Captioned):
    """Captions from the web page of the data set.

    Args:
        root: folder of the images.
        ann_file: path of the page.
    """

    def _captions(self) -> dict[str, list[str]]:
        parser = Flickr8kParser(self.root)
        with open(self.ann_file) as file:
            parser.feed(file.read())
        return parser.annotations


class Flickr30k(_Captioned):
    """Captions from a text file: `NAME.jpg#0`, a tabulator, the caption.

    Args:
        root: folder of the images.
        ann_file: path of the captions.
    """

    def _captions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        with open(self.ann_file) as file:
            for line in file:
                name, caption = line.strip().split("\t")
                found[name[:-2]].append(caption)
        return found
