"""Pictures: what merchants upload, made into three sizes that cross a weak network, and kept.

A picture is decoded once, here, and encoded anew: what a phone wrote beside the pixels (where and
when it was taken, by which camera) ends here, and so does whatever else somebody hid in a file.
The sizes are objects of their own beside the journal; the product names the picture that counts.
"""

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from shared.clock import Clock, new_id
from shared.errors import BUSY, NOT_FOUND, Problem, Refused
from shared.storage.objects import Absent, ObjectStore, StoreError

log = logging.getLogger(__name__)

TAKEN = ("image/jpeg", "image/png", "image/webp")
GIVEN = "image/webp"
UPLOAD_BYTES_MAX = 5 << 20

PIXELS_MAX = 24_000_000
"""Bounds what decoding takes: a progressive JPEG of so many needs 150 MB for a moment."""

NOT_A_PICTURE = Problem(
    "not-a-picture",
    422,
    "不是可用的 JPEG、PNG 或 WebP 图片",
    "This is no JPEG, PNG or WebP picture that can be read",
)
TOO_MANY_PIXELS = Problem(
    "too-many-pixels",
    422,
    f"图片不能超过 {PIXELS_MAX // 1_000_000} 百万像素",
    f"A picture has at most {PIXELS_MAX // 1_000_000} million pixels",
)


@dataclass(frozen=True, slots=True)
class Size:
    """A size that every picture comes in: its longer side in pixels, and what it may weigh."""

    pixels: int
    bytes_max: int


SIZES = {
    str(size.pixels): size
    for size in (Size(160, 8 << 10), Size(480, 32 << 10), Size(1080, 100 << 10))
}
"""By their name in an address. The smallest is for lists: twenty of them weigh as much as one of
the largest, at most.
"""

_QUALITIES = (80, 65, 50, 35, 20)
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, ArithmeticError)


def sized(upload: bytes) -> dict[str, bytes]:
    """An uploaded picture in every size, as WebP, by the size's name. Never enlarged.

    Raises Refused(NOT_A_PICTURE, TOO_MANY_PIXELS).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's about odd files: they are decoded or not
            picture = _decoded(upload)
    except (Image.DecompressionBombError, MemoryError):
        raise Refused(TOO_MANY_PIXELS) from None
    except _UNREADABLE:
        raise Refused(NOT_A_PICTURE) from None
    return {name: _encoded(picture, size) for name, size in SIZES.items()}


def _decoded(upload: bytes) -> Image.Image:
    """The picture upright, without transparency, no larger than the largest size needs."""
    opened = Image.open(io.BytesIO(upload), formats=("JPEG", "PNG", "WEBP"))
    width, height = opened.size
    if width * height > PIXELS_MAX:
        raise Refused(TOO_MANY_PIXELS)
    largest = max(size.pixels for size in SIZES.values())
    opened.draft("RGB", (largest, largest))  # a JPEG is decoded small in the first place
    upright = ImageOps.exif_transpose(opened)
    upright.thumbnail((largest, largest))
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    clear = upright.convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")


def _encoded(picture: Image.Image, size: Size) -> bytes:
    """The picture at a size, as good as its weight allows, and smaller where it allows none."""
    small, pixels = picture.copy(), size.pixels
    while True:
        small.thumbnail((pixels, pixels))
        for quality in _QUALITIES:
            file = io.BytesIO()
            small.save(file, "WEBP", quality=quality)
            if file.tell() <= size.bytes_max:
                return file.getvalue()
        pixels //= 2


class Gallery:
    """The pictures of products, under `prefix` of a store.

    What the store does not answer is Refused(BUSY).
    """

    def __init__(self, store: ObjectStore, prefix: str, clock: Clock) -> None:
        self._store = store
        self._prefix = prefix
        self._clock = clock

    def keep(self, sizes: dict[str, bytes]) -> str:
        """Store every size, and give the id under which they can be read. No two calls give the
        same, so that what nothing names now can be dropped: nothing ever will.
        """
        picture_id = new_id("picture", self._clock.now_ms(), self._clock.random(10))
        for name, content in sizes.items():
            try:
                self._store.create(self._key(picture_id, name), content)
            except StoreError as error:
                raise _busy(error) from error
        return picture_id

    def read(self, picture_id: str, size: str) -> bytes:
        """One size of a picture. Raises Refused(NOT_FOUND) where it is not, or not yet, kept."""
        try:
            return self._store.get(self._key(picture_id, size))
        except Absent:
            raise Refused(NOT_FOUND) from None
        except StoreError as error:
            raise _busy(error) from error

    def drop(self, picture_ids: Sequence[str]) -> None:
        """Remove pictures that no product names any more: their bytes only cost, where the store
        does not let a service delete.
        """
        for key in (self._key(picture_id, name) for picture_id in picture_ids for name in SIZES):
            try:
                self._store.delete(key)
            except StoreError as error:
                log.warning("a picture that nothing names stays: %s", error)

    def _key(self, picture_id: str, size: str) -> str:
        return f"{self._prefix}{picture_id}/{size}.webp"


def _busy(error: StoreError) -> Refused:
    log.warning("pictures: %s", error)
    return Refused(BUSY, retry_after_seconds=2)
