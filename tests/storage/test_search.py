"""Search, as people type it: Chinese of any length, English still being typed, and worse."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.storage.access import Hit, Position, Search
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.replica import ROWS_MAX
from shared.storage.words import QUERY_TERMS_MAX, index_words, query_words
from tests.storage.world import Container, World


def product(zh: object, en: object, price: int, county: str = "620100") -> dict[str, Any]:
    return {"name_zh": zh, "name_en": en, "price": price, "county": county}


PRODUCTS: dict[str, dict[str, Any]] = {
    "lily": product("兰州百合", "Lanzhou lily bulbs", 4800),
    "dried": product("百合干", "Dried lily", 2600),
    "date": product("临泽小枣", "Linze jujube", 1900, "620723"),
    "hundred": product("百年老醋", "Hundred-year vinegar", 900, "620602"),
    "melon": product("民勤蜜瓜", "Minqin honeydew (蜜)", 700, "620621"),
    "cup": product("夜光杯", "luminous CUP 2个", 9900, "620902"),
    "berries": product("枸杞", "Wolfberries, dried in boxes", 3100),
    "nameless": product(None, 7, 1),
    "silent": {"price": 2},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    world = World(tmp_path_factory.mktemp("shop"))
    container = world.container("here")
    for key, body in PRODUCTS.items():
        container.database.transact(lambda tx, k=key, b=body: tx.put("products", k, b))
    yield container
    world.close()


def hits(
    container: Container, search: Search, *, limit: int = 100, after: Position | None = None
) -> list[Hit]:
    found = container.database.read(lambda view: view.search(search, limit=limit, after=after))
    return list(found.value)


def keys(container: Container, text: str, **more: Any) -> set[str]:
    return {hit.document.key for hit in hits(container, Search("products", text, **more))}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("百合", {"lily", "dried"}),
        ("百", {"lily", "dried", "hundred"}),
        ("合", {"lily", "dried"}),
        ("兰州百合", {"lily"}),
        ("州百", {"lily"}),
        ("合百", set()),
        ("百合 兰州", {"lily"}),
        ("枣", {"date"}),
        ("蜜", {"melon"}),
        ("lil", {"lily", "dried"}),
        ("LILY", {"lily", "dried"}),
        ("ｌｉｌｙ", {"lily", "dried"}),
        ("ily", set()),
        ("lily bul", {"lily"}),
        ("lily百合", {"lily", "dried"}),
        ("hundred-year", {"hundred"}),
        ("2个", {"cup"}),
        ("个", {"cup"}),
        ("cup2", set()),
        ("lily NOT dried", set()),
        ("lily OR jujube", set()),
        ('"lily', {"lily", "dried"}),
        ("lily*", {"lily", "dried"}),
        ("Lilies", {"lily", "dried"}),
        ("jujubes", {"date"}),
        ("bulb", {"lily"}),
        ("wolfberry box", {"berries"}),
        ("wolfberries boxes", {"berries"}),
        ("cups", {"cup"}),
        ("luminous", {"cup"}),
        ("lus", set()),
        ("li_ly", set()),
    ],
)
def test_what_is_typed_finds(shop: Container, typed: str, expected: set[str]) -> None:
    assert keys(shop, typed) == expected


@pytest.mark.parametrize("typed", [" ", "!", "\"'", "***", "——", "（）", "_", "\x00", "\n"])
def test_text_without_a_word_finds_nothing(shop: Container, typed: str) -> None:
    assert keys(shop, typed) == set()


@pytest.mark.parametrize("letter", ["a", "ཀ", "𐌰", "㌖", "ﷴ", "ｶﾞ"])
@pytest.mark.parametrize("count", [60, 400, 3000])
def test_a_word_of_any_length_is_found_by_all_of_it(
    shop: Container, letter: str, count: int
) -> None:
    """Some letters are written for many, and Tantivy's expressions have an end."""
    shop.database.transact(lambda tx: tx.put("products", "any", {"name_en": letter * count}))
    assert keys(shop, letter * count) == {"any"}
    assert keys(shop, f"{letter * count} lily") == set()


HAN = st.text(st.sampled_from("甘肃兰州百合花蜜瓜㐀鿿豈𠀀𰀀"), min_size=1, max_size=8)
LATIN = st.text(st.sampled_from("abceshyiéßİı0129"), min_size=1, max_size=6)
SEPARATORS = st.sampled_from([" ", "，", "-", "_", '"', "*", "(", "。"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.tuples(HAN | LATIN, SEPARATORS), max_size=5))
    return "".join(part for pair in parts for part in pair)


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts(), st.data())
def test_every_piece_of_a_chinese_text_finds_it(
    shop: Container, text: str, data: st.DataObject
) -> None:
    shop.database.transact(lambda tx: tx.put("products", "any", {"name_zh": text}))
    normal = unicodedata.normalize("NFKC", text).casefold()
    runs = [run for run in index_words(text).split() if len(run) <= 2 and ord(run[0]) > 0x3000]
    for piece in set(runs):
        assert "any" in keys(shop, piece)
    start = data.draw(st.integers(0, len(normal)))
    piece = normal[start : data.draw(st.integers(start, len(normal)))]
    if piece and all(ord(character) > 0x3000 and character.isalpha() for character in piece):
        assert "any" in keys(shop, piece)
    pair = data.draw(HAN.filter(lambda chosen: len(chosen) == 2))
    assert ("any" in keys(shop, pair)) == (unicodedata.normalize("NFKC", pair) in normal)


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LATIN, min_size=1, max_size=4), st.data())
def test_every_beginning_of_a_word_finds_it(
    shop: Container, words: list[str], data: st.DataObject
) -> None:
    text = " ".join(words)
    shop.database.transact(lambda tx: tx.put("products", "any", {"name_en": text}))
    word = data.draw(st.sampled_from(words))
    beginning = word[: data.draw(st.integers(1, len(word)))]

    assert "any" in keys(
        shop, beginning.upper() if beginning.upper().lower() == beginning else beginning
    )
    assert "any" not in keys(shop, f"{beginning} qqq")


FTS = st.text(st.sampled_from("ab百合 \"'*()^:+-{}\\\x00") | st.characters(), max_size=30)
OPERATORS = st.lists(
    st.sampled_from(
        ["AND", "OR", "NOT", "NEAR(", "NEAR/2", "words:", "collection", "^", '"', "a", "百合"]
    ),
    max_size=8,
).map(" ".join)


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("百合" * 5000)
@example(" ".join(["a"] * 5000))
@example('" OR rowid:*')
@given(
    (FTS | OPERATORS).filter(
        lambda typed: typed.isascii() or typed.encode("utf-8", "ignore").decode() == typed
    )
)
def test_whatever_is_typed_is_only_words(shop: Container, typed: str) -> None:
    before = shop.replica
    found = keys(shop, typed)

    assert "silent" not in found or not typed, "no operator reached the search"
    assert shop.replica is before


@given(st.text())
@example("a " * 100)
@example("百" * 1000)
def test_a_query_costs_a_bounded_number_of_terms(typed: str) -> None:
    assert len(query_words(typed)) <= QUERY_TERMS_MAX < 50


def test_filters_and_orders(shop: Container) -> None:
    def found(text: str = "", **more: Any) -> list[str]:
        return [hit.document.key for hit in hits(shop, Search("products", text, **more))]

    assert found("lily", order="price") == ["dried", "lily"]
    assert found("lily", order="price", descending=True) == ["lily", "dried"]
    assert found("lily", equal={"county": "620100"}, between={"price": (3000, None)}) == ["lily"]
    assert found(between={"price": (None, 2)}, order="price") == ["nameless", "silent"]
    assert found(between={"price": (900, 1900)}, order="price") == ["hundred", "date"]
    assert found(equal={"county": "nowhere"}, order="price") == []


@pytest.mark.parametrize("order", ["relevance", "price"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("text", ["", "百", "lily"])
def test_pages_of_one_give_the_whole_list(
    shop: Container, text: str, order: str, descending: bool
) -> None:
    search = Search("products", text, order=order, descending=descending)
    pages: list[str] = []
    after: Position | None = None
    while page := hits(shop, search, limit=1, after=after):
        pages.append(page[0].document.key)
        after = page[0].position

    assert pages == [hit.document.key for hit in hits(shop, search)]
    assert len(pages) >= 2


def test_the_better_match_comes_first(here: Container) -> None:
    for key, text in (("long", "百合 " + "其他商品 " * 50), ("short", "百合")):
        here.database.transact(lambda tx, k=key, t=text: tx.put("products", k, {"name_zh": t}))

    found = hits(here, Search("products", "百合"))
    assert [hit.document.key for hit in found] == ["short", "long"]


def test_a_changed_document_is_found_by_its_new_words_only(here: Container) -> None:
    here.database.transact(lambda tx: tx.put("products", "p", {"name_zh": "百合"}))
    here.database.transact(lambda tx: tx.put("products", "p", {"name_zh": "蜜瓜"}))
    assert (keys(here, "百合"), keys(here, "蜜瓜")) == (set(), {"p"})
    here.database.transact(lambda tx: tx.delete("products", "p"))
    assert keys(here, "蜜瓜") == set()


def test_a_search_is_capped(here: Container) -> None:
    def many(tx: Any) -> None:
        for number in range(ROWS_MAX + 5):
            tx.put("products", f"p{number}", {"name_zh": "百合"})

    here.database.transact(many)
    assert len(hits(here, Search("products", "百合"), limit=ROWS_MAX + 5)) == ROWS_MAX
    assert hits(here, Search("products", "百合"), limit=-1) == []


def test_a_search_looks_into_its_own_collection(world: World) -> None:
    catalogue = Catalogue(
        Collection("products", text=("name",)), Collection("stores", text=("name",))
    )
    here = world.container("here", catalogue=catalogue)
    for collection in ("products", "stores"):
        here.database.transact(lambda tx, c=collection: tx.put(c, f"in-{c}", {"name": "百合"}))

    assert keys(here, "百合") == {"in-products"}
    assert keys(here, "") == {"in-products"}
