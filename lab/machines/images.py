"""Root file systems by image id: stacks of read-only layers. A base image's layer is in the cache, every other one is the lab's own."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.machines import layers
from lab.machines.machine import LAYERS_FILE, Machine
from lab.settings import OperatingSystem, Settings


class ImageStore:
    """An image is a small file that names its layers; a layer is a directory that goes when no image and no machine uses it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._images = settings.images_dir / "by-id"
        self._layers = settings.images_dir / "layers"
        self._bases = settings.images_dir / "bases.json"
        self._change = threading.RLock()
        self._unfinished: set[Path] = set()
        self._kept: dict[str, set[Path]] = {}
        for made in (self._images, self._layers):
            made.mkdir(parents=True, exist_ok=True)

    def set_base(self, os_name: OperatingSystem, root: Path) -> None:
        """Records where the base image of an operating system is."""
        with self._change:
            self._write(self._bases, {**self._read_bases(), os_name: str(root)})

    def base(self, os_name: OperatingSystem) -> tuple[Path, ...]:
        """The layers of an operating system's base image."""
        root = self._read_bases().get(os_name)
        if root is None:
            raise LabError(f"This lab has no base image of {os_name}", hint=f"lab up --os {os_name}")
        return (Path(root),)

    def put(self, image_id: str, stack: Sequence[Path]) -> None:
        """Registers an image of layers that exist already."""
        with self._change:
            self._write(self._images / f"{image_id}.json", {"layers": [str(p) for p in stack]})

    def layers(self, image_id: str) -> tuple[Path, ...]:
        """An image's layers, the topmost first. Raises LabError for an unknown image."""
        try:
            return tuple(Path(p) for p in json.loads((self._images / f"{image_id}.json").read_text())["layers"])
        except FileNotFoundError:
            raise LabError(f"The lab stores no file system of image {image_id}") from None

    def ids(self) -> list[str]:
        return sorted(p.stem for p in self._images.glob("*.json"))

    def snapshot(self, image_id: str, machine: Machine, parent_layers: Sequence[Path]) -> None:
        """Makes an image of what a machine has written on top of the layers that it was started from."""
        with self._new_layers() as new:
            self.put(image_id, (*machine.freeze_layers(new), *parent_layers))

    def copy(self, src_id: str, dst_id: str) -> None:
        """Copies an image's own layers for real; only base images, which nobody can delete, are shared."""
        with self._new_layers() as new:
            stack: list[Path] = []
            for layer in self.layers(src_id):
                if layer.parent == self._layers:
                    stack.append(new())
                    layers.copy(layer, stack[-1])
                else:
                    stack.append(layer)
            self.put(dst_id, stack)

    def remove(self, image_id: str) -> None:
        """Forgets an image and deletes the layers that nothing else uses. An unknown image changes nothing."""
        with self._change:
            (self._images / f"{image_id}.json").unlink(missing_ok=True)
            self.collect()

    def stacks(self) -> dict[str, tuple[Path, ...]]:
        """Every image's layers."""
        with self._change:
            return {image_id: self.layers(image_id) for image_id in self.ids()}

    def adopt(self, directory: Path) -> Path:
        """Moves a directory of this lab to the layers; `keep` it before the next `collect`."""
        layer = self._layers / uuid.uuid4().hex
        directory.rename(layer)
        return layer

    def keep(self, owner: str, used: Iterable[Path]) -> None:
        """These layers stay for `owner`, in place of those that it had named before."""
        with self._change:
            self._kept[owner] = set(used)

    def collect(self) -> None:
        """Deletes the layers that no image, no machine and no saved lab uses."""
        with self._change:
            used = {layer for image in self.ids() for layer in self.layers(image)} | self._used_by_machines()
            used.update(*self._kept.values())
            for layer in self._layers.iterdir():
                if layer not in used and layer.with_suffix("") not in self._unfinished:
                    shutil.rmtree(layer, ignore_errors=True)

    @contextlib.contextmanager
    def _new_layers(self) -> Iterator[Callable[[], Path]]:
        """Gives out paths for layers that are being made; deletes them all when their making fails."""
        given: list[Path] = []

        def new() -> Path:
            path = self._layers / uuid.uuid4().hex
            with self._change:
                self._unfinished.add(path)
            given.append(path)
            return path

        try:
            yield new
        except BaseException:
            for path in given:
                shutil.rmtree(path, ignore_errors=True)
            raise
        finally:
            with self._change:
                self._unfinished.difference_update(given)

    def _used_by_machines(self) -> set[Path]:
        files = self.settings.machines_dir.glob(f"*/{LAYERS_FILE}")
        return {Path(line) for file in files for line in file.read_text().splitlines()}

    def _read_bases(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._bases.read_text()))
        except FileNotFoundError:
            return {}

    def _write(self, path: Path, content: object) -> None:
        partial = path.with_suffix(".new")
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(path)
