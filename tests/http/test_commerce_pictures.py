"""Pictures of products: as merchants upload them, and as phones on weak networks fetch them."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image

from services.commerce import pictures
from services.commerce.actions import goods
from services.commerce.actions.keepers import Keeper
from services.commerce.actions.pictures import set_picture
from services.commerce.domain import CATALOGUE
from services.commerce.pictures import SIZES, Gallery, sized
from shared.auth.subjects import service_subject
from shared.errors import Refused
from shared.storage.access import Claim
from shared.storage.memory import MemoryStore, drop, lose_reply, refuse
from shared.storage.objects import Denied, Exists, Uncertain
from tests.support.served import Json, Unfed, json_of, made, refused
from tests.support.shop import Shop, photo

PREFIX = "commerce/pictures/"
JPEG = {"Content-Type": "image/jpeg"}
GZIP = {"Accept-Encoding": "gzip"}


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def below(address: str) -> str:
    """An answer's address as `Served` asks for it."""
    return address.removeprefix("/commerce")


def give(shop: Shop, product: str, upload: bytes, **options: str) -> Json:
    path = f"/v1/products/{product}/picture"
    return made(shop.post(path, raw=upload, by="merchant-1", headers=JPEG, **options))


def objects(shop: Shop) -> list[str]:
    return [row.key for row in shop.store.list(PREFIX)]


# Sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4000, 3000), {"160": (160, 120), "480": (480, 360), "1080": (1080, 810)}),
        ((600, 900), {"160": (107, 160), "480": (320, 480), "1080": (600, 900)}),
        ((100, 50), {"160": (100, 50), "480": (100, 50), "1080": (100, 50)}),
        ((3000, 1), {"160": (160, 1), "480": (480, 1), "1080": (1080, 1)}),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_comes_in_three_sizes_and_is_never_enlarged(
    size: tuple[int, int], expected: dict[str, tuple[int, int]], kind: str
) -> None:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, kind)
    made = {name: opened(content) for name, content in sized(file.getvalue()).items()}
    assert {name: picture.size for name, picture in made.items()} == expected
    assert {(picture.format, picture.mode) for picture in made.values()} == {("WEBP", "RGB")}


def test_no_size_weighs_more_than_it_may_whatever_is_seen() -> None:
    noise = random.Random(1).randbytes(1200 * 1200 * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (1200, 1200), noise).save(file, "PNG")
    contents = sized(file.getvalue())
    assert all(len(contents[name]) <= size.bytes_max for name, size in SIZES.items())
    assert 20 * SIZES["160"].bytes_max <= 160 << 10


def test_a_phones_notes_end_here_and_its_picture_stands_upright() -> None:
    lying = Image.new("RGB", (300, 200), "white")
    lying.paste("red", (0, 0, 300, 100))  # the upper half, which rotation makes the right half
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker of phones"
    exif.get_ifd(0x8825)[1] = "N"
    file = io.BytesIO()
    lying.save(file, "JPEG", exif=exif)
    assert b"a maker of phones" in file.getvalue()
    for content in sized(file.getvalue()).values():
        picture = opened(content)
        assert b"a maker of phones" not in content
        assert dict(picture.getexif()) == {}
        assert picture.size[0] < picture.size[1]
        red, green, _ = picture.getpixel((picture.width - 5, picture.height // 2))  # type: ignore[misc]
        assert (red > 200, green < 60) == (True, True)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0)).convert(mode)
    file = io.BytesIO()
    clear.save(file, "PNG", **({"transparency": 0} if mode == "P" else {}))
    seen = opened(sized(file.getvalue())["160"]).getpixel((25, 25))
    assert seen == (255, 255, 255)


@pytest.mark.parametrize(
    "upload",
    [
        b"no picture",
        b"GIF89a" + bytes(100),
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        photo()[:300],
        photo(kind="PNG")[:-40],
        photo(kind="WEBP")[:-40],
    ],
    ids=["text", "GIF", "a header", "SVG", "half a JPEG", "half a PNG", "half a WebP"],
)
def test_what_cannot_be_read_is_no_picture(shop: Shop, upload: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        sized(upload)
    assert refusal.value.problem == pictures.NOT_A_PICTURE
    path = f"/v1/products/{shop.lily()}/picture"
    refused(shop.post(path, raw=upload, by="merchant-1", headers=JPEG), 422, "not-a-picture")


def test_a_picture_that_unfolds_too_far_is_refused_before_it_is_decoded() -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 200_000
    for upload in (bomb.getvalue(), photo(6000, 4001)):
        with pytest.raises(Refused) as refusal:
            sized(upload)
        assert refusal.value.problem == pictures.TOO_MANY_PIXELS


# Over HTTP


def test_a_product_shows_its_picture_in_the_size_that_one_asks_for(shop: Shop) -> None:
    product = shop.lily()
    assert json_of(shop.get(f"/v1/products/{product}"))["picture"] is None
    answer = give(shop, product, photo(800, 600))
    shop.clock.pass_monotonic(2)
    assert json_of(shop.get(f"/v1/products/{product}"))["picture"] == answer["picture"]
    for name in SIZES:
        picture = shop.get(f"{below(answer['picture'])}/{name}")
        assert (picture.status_code, picture.content_type) == (200, "image/webp")
        assert max(opened(picture.data).size) == min(int(name), 800)
        assert picture.headers["Cache-Control"].startswith("public, max-age=86400")
        packing = shop.get(f"{below(answer['picture'])}/{name}", headers=GZIP)
        assert (packing.data, "Content-Encoding" in packing.headers) == (picture.data, False)
        assert packing.headers["ETag"] == picture.headers["ETag"]
        tag = {"If-None-Match": picture.headers["ETag"]}
        assert shop.get(f"{below(answer['picture'])}/{name}", headers=tag).status_code == 304


@pytest.mark.parametrize("size", ["161", "0", "1080.webp", "large"])
def test_a_size_that_there_is_not_is_not_found(shop: Shop, size: str) -> None:
    address = below(shop.picture(shop.lily()))
    refused(shop.get(f"{address}/{size}"), 404, "not-found")


def test_a_picture_is_found_under_its_own_product_alone(shop: Shop) -> None:
    address, other = below(shop.picture(shop.lily())), shop.lily()
    picture = address.rpartition("/")[2]
    refused(shop.get(f"/v1/products/{other}/pictures/{picture}/160"), 404, "not-found")
    refused(shop.get(f"{address}x/160"), 404, "not-found")


def test_a_new_picture_takes_the_place_of_the_old_and_leaves_nothing(fresh_shop: Shop) -> None:
    shop = fresh_shop
    product = shop.lily()
    first, second = shop.picture(product), shop.picture(product, photo(90, 90))
    shop.clock.pass_monotonic(2)
    assert first != second
    refused(shop.get(f"{below(first)}/160"), 404, "not-found")
    assert shop.get(f"{below(second)}/160").status_code == 200
    assert len(objects(shop)) == len(SIZES)
    gone = made(shop.post(f"/v1/products/{product}/picture/removal", by="merchant-1"))
    shop.clock.pass_monotonic(2)
    assert gone["picture"] is None
    refused(shop.get(f"{below(second)}/160"), 404, "not-found")
    assert objects(shop) == []


def test_an_upload_that_is_sent_again_is_the_same_picture(fresh_shop: Shop) -> None:
    shop = fresh_shop
    product = shop.lily()
    first = give(shop, product, photo(), key="once")
    revision = shop.get(f"/v1/products/{product}").headers["ETag"].partition("-")[0]
    assert give(shop, product, photo(), key="once")["picture"] == first["picture"]
    assert shop.get(f"/v1/products/{product}").headers["ETag"].partition("-")[0] == revision
    assert len(objects(shop)) == len(SIZES)
    path = f"/v1/products/{product}/picture"
    other = shop.post(path, raw=photo(65), by="merchant-1", headers=JPEG, key="once")
    refused(other, 422, "idempotency-key-reused")
    assert len(objects(shop)) == len(SIZES)
    assert shop.get(f"{below(first['picture'])}/160").status_code == 200


def test_a_picture_is_taken_of_a_product_that_another_container_just_added(
    fresh_shop: Shop, tmp_path: Path
) -> None:
    shop = fresh_shop
    store = shop.open_store()
    other = Unfed(
        MemoryStore(shop.bucket, clock=shop.clock),
        CATALOGUE,
        prefix="commerce/",
        directory=tmp_path / "other",
        clock=shop.clock,
    )
    try:
        goods.read_store(other, store)  # which proves what it has, for a second
        product = shop.add(store)
        keeper = Keeper(service_subject("merchant-1", shop.subject_key))
        gallery = Gallery(shop.store, PREFIX, shop.clock)
        claim = Claim(keeper.subject, "route", "key", "digest")
        given = set_picture(other, gallery, keeper, product, claim, sized(photo()))
        assert "picture" in given.value.product.body
    finally:
        shop.clock.hurry()
        other.close()
        shop.clock.rest()


def test_another_upload_of_the_same_length_is_another_request(shop: Shop) -> None:
    product, [one, other] = shop.lily(), [photo() + end for end in (b"1", b"2")]
    give(shop, product, one, key="once")
    path = f"/v1/products/{product}/picture"
    answer = shop.post(path, raw=other, by="merchant-1", headers=JPEG, key="once")
    refused(answer, 422, "idempotency-key-reused")


def test_an_upload_that_is_sent_again_after_its_key_was_forgotten_is_still_seen(
    fresh_shop: Shop,
) -> None:
    shop = fresh_shop
    product = shop.lily()
    give(shop, product, photo(), key="synchronised")
    shop.clock.pass_wall(hours=73)
    shop.order(product)
    again = give(shop, product, photo(), key="synchronised")["picture"]
    shop.clock.pass_monotonic(2)
    assert json_of(shop.get(f"/v1/products/{product}"))["picture"] == again
    for name in SIZES:
        assert shop.get(f"{below(again)}/{name}").status_code == 200
    assert len(objects(shop)) == len(SIZES)


@pytest.mark.parametrize("later", ["removal", "another"])
def test_an_upload_that_is_sent_again_leaves_no_bytes_that_nobody_sees(
    fresh_shop: Shop, later: str
) -> None:
    shop = fresh_shop
    product = shop.lily()
    give(shop, product, photo(), key="once")
    if later == "removal":
        made(shop.post(f"/v1/products/{product}/picture/removal", by="merchant-1"))
    else:
        give(shop, product, photo(90, 90))
    seen, kept = json_of(shop.get(f"/v1/products/{product}"))["picture"], objects(shop)
    assert give(shop, product, photo(), key="once")["picture"] == seen
    assert objects(shop) == kept


def test_nobody_gives_or_takes_a_picture_of_anothers_product(fresh_shop: Shop) -> None:
    shop = fresh_shop
    product = shop.lily()
    path = f"/v1/products/{product}/picture"
    refused(shop.post(path, raw=photo(), by="merchant-2", headers=JPEG), 404, "not-found")
    assert shop.store.count("create", PREFIX) == 0, "nor is a stranger's picture ever stored"
    refused(shop.post(f"{path}/removal", by="merchant-2"), 404, "not-found")
    refused(shop.post(path, raw=photo(), by="citizen-1", headers=JPEG), 403, "forbidden")
    made(shop.post(path, raw=photo(), by="operator-1", headers=JPEG))


# Failures


def test_a_store_that_is_away_gives_no_product_half_a_picture(fresh_shop: Shop) -> None:
    shop = fresh_shop
    product = shop.lily()
    path = f"/v1/products/{product}/picture"
    shop.store.inject("create", refuse(Uncertain("timeout")), key=PREFIX)
    answer = shop.post(path, raw=photo(), by="merchant-1", headers=JPEG, key="again")
    refused(answer, 503, "busy")
    assert json_of(shop.get(f"/v1/products/{product}"))["picture"] is None
    address = below(give(shop, product, photo(), key="again")["picture"])
    for name in SIZES:
        assert shop.get(f"{address}/{name}").status_code == 200
    shop.store.inject("get", refuse(Uncertain("timeout")), key=PREFIX)
    refused(shop.get(f"{address}/160"), 503, "busy")


def test_a_picture_stays_whose_product_may_name_it_though_its_merchant_was_told_busy(
    fresh_shop: Shop,
) -> None:
    shop = fresh_shop
    product = shop.lily()
    journal = "commerce/journal/"
    shop.store.inject("create", lose_reply, key=journal, times=100)
    shop.store.inject("get", drop, key=journal, times=100)
    path = f"/v1/products/{product}/picture"
    refused(shop.post(path, raw=photo(), by="merchant-1", headers=JPEG), 503, "busy")
    shop.store._faults.clear()
    shop.clock.pass_monotonic(2)
    address = json_of(shop.get(f"/v1/products/{product}"))["picture"]
    for name in SIZES:
        assert shop.get(f"{below(address)}/{name}").status_code == 200


def test_a_size_that_was_being_stored_and_never_came_is_not_taken_for_stored(
    fresh_shop: Shop,
) -> None:
    shop = fresh_shop
    product = shop.lily()
    path = f"/v1/products/{product}/picture"
    shop.store.inject("create", refuse(Exists("409")), key=PREFIX)
    answer = shop.post(path, raw=photo(), by="merchant-1", headers=JPEG)
    refused(answer, 503, "busy")
    assert json_of(shop.get(f"/v1/products/{product}"))["picture"] is None


def test_a_service_that_may_not_delete_still_replaces_pictures(fresh_shop: Shop) -> None:
    shop = fresh_shop
    product = shop.lily()
    first = shop.picture(product)
    shop.store.inject("delete", refuse(Denied("403")), key=PREFIX, times=len(SIZES))
    second = shop.picture(product)
    shop.clock.pass_monotonic(2)
    refused(shop.get(f"{below(first)}/160"), 404, "not-found")
    assert shop.get(f"{below(second)}/160").status_code == 200
