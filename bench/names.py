"""Names of products as merchants of the province write them: place, brand, praise, goods, packing.

A seed repeats them. How often words come follows what markets look like: 有机 in every second name,
a few goods in most of the others, brands that are nearly alone with theirs.
"""

import random
from collections.abc import Iterator

from shared import divisions
from shared.storage.catalogue import Body

_PRAISE = (
    "有机", "正宗", "特级", "精选", "新鲜", "农家", "手工", "原生态",
    "绿色", "礼盒装", "包邮", "当季", "高山", "散装", "优质",
)  # fmt: skip
GOODS = (
    "百合", "核桃", "枸杞", "苹果", "当归", "党参", "黄芪", "蜜瓜", "小枣", "花椒", "橄榄油",
    "牛肉干", "羊肉", "洋芋", "小米", "荞麦", "玫瑰", "红枣", "杏干", "葡萄干", "木耳", "羊肚菌",
    "土蜂蜜", "亚麻籽油", "苦荞茶", "罐罐茶", "夜光杯", "砚台", "刺绣", "皮影",
)  # fmt: skip
_PACKED = ("500克", "1千克", "2.5千克", "5斤装", "10斤整箱", "两盒", "三袋装", "单瓶", "家庭装")
_CATEGORIES = ("agricultural", "herbal_medicine", "food_and_drink", "cultural_works")
_SIGNS = tuple(map(chr, range(0x4E00, 0x4E00 + 6000)))
_FIRST_LISTED_MS = 1_780_000_000_000


def products(count: int, seed: int = 2014) -> Iterator[tuple[str, Body]]:
    """`count` products by key, listed three seconds apart."""
    chance = random.Random(seed)
    known = divisions.read(divisions.FILE)
    prefectures = known.below("620000", limit=100)
    counties = [each for above in prefectures for each in known.below(above.code, limit=100)]
    by_county = [(1 + place) ** -0.7 for place in range(len(counties))]
    by_goods = [1 / (1 + place) for place in range(len(GOODS))]
    for number in range(count):
        [county] = chance.choices(counties, by_county)
        [goods] = chance.choices(GOODS, by_goods)
        praise = chance.sample(_PRAISE[1:], chance.choice((0, 1, 1, 2)))
        if chance.random() < 0.5:
            praise.insert(0, _PRAISE[0])
        brand = chance.choice(_SIGNS) + chance.choice(_SIGNS)
        packed = chance.choice(_PACKED)
        yield (
            f"product_{number:032x}",
            {
                "store": f"store_{number % 5000:032x}",
                "name_zh": f"{county.name_zh}{brand}{''.join(praise)}{goods}{packed}",
                "name_en": f"{county.name_en} goods no. {number % 977}",
                "description_zh": "",
                "description_en": "",
                "category": chance.choice(_CATEGORIES),
                "division": county.code,
                "prefecture": county.parent,
                "price": 100 + int(chance.lognormvariate(8.2, 1.0)) // 10 * 10,
                "for_sale": chance.random() < 0.97,
                "listed_ms": _FIRST_LISTED_MS + 3000 * number,
            },
        )
