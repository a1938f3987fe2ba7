"""Units: what the table holds converts by the laws of dimensions, and words that change a number are no units."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.symbolic import unit_tables
from mtgrpo_env.envs.symbolic.units import MAX_LENGTH, is_in_table, magnitude, singular, units


def ratio(left: str, right: str) -> Fraction | None:
    """How many of the right are one of the left; None if they do not convert."""
    pairs = [(a, b) for a in units(left) for b in units(right) if a.dimension == b.dimension]
    return pairs[0][0].scale / pairs[0][1].scale if pairs else None


PREFIXED = ["metre", "gram", "second", "watt", "volt", "litre", "newton", "joule", "byte", "bit", "hertz"]


@pytest.mark.parametrize("name", PREFIXED)
def test_prefixes_multiply(name: str) -> None:
    assert ratio(f"kilo{name}", name) == 1000
    assert ratio(f"mega{name}s", f"kilo{name}") == 1000


@pytest.mark.parametrize("symbol", ["m", "g", "s", "W", "V", "L", "N", "J", "Hz", "Pa", "A", "Ω"])
def test_prefixes_of_symbols_are_those_of_names(symbol: str) -> None:
    scales = {
        "G": 10**9,
        "M": 10**6,
        "k": 1000,
        "c": Fraction(1, 100),
        "µ": Fraction(1, 10**6),
        "n": Fraction(1, 10**9),
    }
    for prefix, scale in scales.items():
        assert ratio(prefix + symbol, symbol) == scale


NOUNS = ["apple", "box", "child/children", "berry", "person/people", "boy", "class", "leaf/leaves", "fish/fish"]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_plural_is_its_singular(noun: str) -> None:
    one, _, many = noun.partition("/")
    many = many or {"box": "boxes", "berry": "berries", "class": "classes"}.get(one, one + "s")
    assert units(one) == units(many) == units(many.upper()) != ()


@pytest.mark.parametrize("name", ["metre", "cm", "foot", "inch", "yards", "km", "miles", "mm"])
@pytest.mark.parametrize("other", ["m", "inches", "ft"])
def test_squares_and_cubes_scale_by_squares_and_cubes(name: str, other: str) -> None:
    once = ratio(name, other)
    assert once is not None
    assert ratio(f"square {name}", f"sq. {other}") == once**2 == ratio(f"{name}^2", f"{other}²")
    assert ratio(f"cubic {name}", f"cu {other}") == once**3 == ratio(f"{name}^{{3}}", f"{other}³")
    assert ratio(f"square {name}", other) is ratio(f"square {name}", f"cubic {other}") is None


SIMPLE = [
    "m",
    "cm",
    "s",
    "hour",
    "kg",
    "N",
    "dollar",
    "apples",
    "mile",
    "litre",
    "°C",
    "months",
    "units",
    "euro",
    "bit",
]


@given(st.sampled_from(SIMPLE), st.sampled_from(SIMPLE))
def test_a_quotient_has_the_dimension_of_its_parts(top: str, bottom: str) -> None:
    ways = {units(way.format(top, bottom)) for way in ("{}/{}", "{} per {}", r"\text{{{}}} / \text{{{}}}")}
    assert len(ways) == 1
    [quotient] = ways
    [numerator], [denominator] = units(top), units(bottom)
    if numerator.dimension == denominator.dimension:
        assert quotient == ()
    else:
        [unit] = quotient
        assert unit.scale == numerator.scale / denominator.scale
        assert units(f"{top} per {bottom} per {bottom}")[0].scale == numerator.scale / denominator.scale**2


@given(st.sampled_from(SIMPLE), st.sampled_from(SIMPLE))
def test_only_equal_dimensions_convert(left: str, right: str) -> None:
    groups = [{"m", "cm", "mile"}, {"s", "hour"}]
    assert (ratio(left, right) is not None) == (left == right or any({left, right} <= group for group in groups))


@pytest.mark.parametrize(
    ("many", "few", "expected"),
    [
        *[("hours", "minutes", 60), ("h", "s", 3600), ("weeks", "days", 7), ("years", "months", 12)],
        *[("yd", "ft", 3), ("feet", "in", 12), ("miles", "yards", 1760), ("foot", "cm", Fraction("30.48"))],
        *[("hectares", "m^2", 10_000), ("km^2", "ha", 100), ("acre", "square feet", 43_560)],
        *[("litres", "ml", 1000), ("L", "cubic cm", 1000), ("m³", "liters", 1000), ("ml", "cc", 1)],
        *[("gallon", "quarts", 4), ("quart", "pints", 2), ("pint", "cups", 2), ("cup", "fluid ounces", 8)],
        *[("tbsp", "teaspoons", 3), ("lb", "oz", 16), ("tonnes", "kg", 1000), ("tons", "pounds", 2000)],
        *[("kg", "grams", 1000), ("stone", "lbs", 14), ("m/s", "km/h", Fraction(18, 5)), ("mph", "miles per hour", 1)],
        *[("kph", "km/hr", 1), ("knot", "kilometres per hour", Fraction("1.852")), ("Hz", "per second", 1)],
        *[("N", "kg m s^{-2}", 1), ("N·m", "J", 1), ("J", r"\text{kg}\cdot\text{m}^2/\text{s}^2", 1)],
        *[("W", "J/s", 1), ("kWh", "MJ", Fraction("3.6")), ("kilowatt-hours", "kWh", 1), ("kcal", "calories", 1000)],
        *[("Pa", "N/m²", 1), ("bar", "kPa", 100), ("V", "W/A", 1), ("ohm", "V/A", 1), (r"k\Omega", "ohms", 1000)],
        *[("bytes", "bits", 8), ("GB", "megabytes", 1000), ("KB", "bytes", 1000), ("Mbps", "kbit/s", 1000)],
        *[("dollars", "cents", 100), ("$", "USD", 1), (r"\$", "US$", 1), ("€", "euros", 1), ("£", "pence", 100)],
        *[("pounds", "pence", 100), ("€", "cents", 100), ("$/h", "dollars an hour", 1), ("₹", "Rs.", 1)],
        *[("revolutions", "degrees", 360), (r"^\circ", "degrees", 1), (r"^{\circ}C", "degrees Celsius", 1)],
        *[("degrees", "°F", 1), ("rpm", "revolutions per minute", 1), ("units^2", "square units", 1)],
        *[("metres per second squared", "m/s^2", 1), ("m/s/s", "m s^-2", 1), ("J/(kg K)", "J/kg·K", 1)],
        *[("kilometres", "kilometers", 1), ("millilitres", "milliliters", 1), ("KG", "kg", 1)],
        *[(r"\mu\text{m}", "nm", 1000), ("different ways", "ways", 1), ("apples in total", "apple", 1)],
        *[("dollars left", "dollars", 1), ("people remaining", "people", 1), ("cm.", "cm", 1), ("sq.cm", "cm2", 1)],
    ],
)  # fmt: skip
def test_units_convert(many: str, few: str, expected: Fraction | int) -> None:
    assert ratio(many, few) == expected


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *[("hours", "km"), ("days", "months"), ("weeks", "years"), ("degrees", "radians"), ("°C", "°F"), ("°C", "K")],
        *[("dollars", "euros"), ("dollars", "£"), ("yen", "rupees"), ("cm", "cm^2"), ("m/s", "m/s^2"), ("units", "cm")],
        *[("apples", "oranges"), ("red apples", "green apples"), ("red apples", "apples"), ("boys", "girls")],
        *[("times", "seconds"), ("eggs per day", "eggs"), ("km/h", "km"), ("square units", "units"), ("bits", "bars")],
        *[
            ("mW", "apples"),
            ("mb", "MB"),
            ("KN", "knots"),
            ("kg", "N"),
            ("N", "J"),
            ("W", "J"),
            ("moles", "grams"),
            ("lb", "£"),
        ],
    ],
)
def test_other_dimensions_do_not_convert(left: str, right: str) -> None:
    assert ratio(left, right) is None


NO_UNITS = [
    *["north", "south", "profit", "loss", "more", "less", "fewer", "p.m.", "a.m.", "pm", "am", "p m", "a m", "A.M."],
    *["base", "base nine", "squared", "cubed", "halves", "half", "thirds", "quarters", "wrong", "is wrong", "minus"],
    *["minus three", "plus a constant", "and", "or", "not", "km south", "km north", "km left", "dollars profit"],
    *["dollars loss", "hours p.m.", "apples or pears", "apples and pears", "not apples", "cm or m", "more apples"],
    *["percent", "per cent", "per cents", "%", "million", "dozen", "dozen eggs", "hundred", "point five", "e", "x"],
    *["pi", "sqrt", "cm squared", "feet squared", "left", "altogether", "in total", "per", "/", "apples per"],
    *["", " ", "a", "an", "the", "of", "pounds of apples", "8", "8 cm", "cm8x", "cm^", "cm^0", "^2", "·", "m·", "cm,"],
    *["M", "B", "b", "5M", "mod 7", "cubic", "square hours", "cubic dollars", "sq", "true", "false", "m/m"],
    *["Tuesday", "x^2", "cm\u0662", "ｃｍ", "c m", "dBs x", "no", "none", "above", "below", "ago", "late", "early"],
    *["cm" * 20, "m " * 20, "m/" * 19 + "m", "(" * 40, "a " * 20, "left " * 8, "per " * 10, "^" * 40, "\\" * 40],
    *["apples " * 6, "\ud800", "\x00", "{cm", "m^{2", "m--2", "m^--2", "hours\u0000"],
]  # fmt: skip


@pytest.mark.parametrize("text", NO_UNITS)
def test_what_is_no_unit_has_no_reading(text: str) -> None:
    assert units(text) == ()


def test_a_word_with_two_meanings_has_two_readings() -> None:
    for word in ("pounds", "ounces", "cents", "tons"):
        assert len({*units(word)}) == 2
    assert {unit.dimension for unit in units("degrees")} == {"degree", "celsius", "fahrenheit"}


def test_what_is_counted_is_no_dimension_of_what_is_measured() -> None:
    measured = {part.split("^")[0] for name in SIMPLE if name != "apples" for part in units(name)[0].dimension.split()}
    for noun in (noun.partition("/")[0] for noun in unit_tables.NOUNS.split()):
        assert noun not in measured
        assert [unit.scale for unit in units(noun) if unit.dimension == noun] == [1]


@given(st.text("abcdefghijklmnopqrstuvwxyz ./^23-{}\\°", max_size=60))
def test_a_reading_is_never_empty_or_zero(text: str) -> None:
    for unit in units(text):
        assert unit.dimension
        assert unit.scale > 0
        assert units(f" {text} ") == units(text) or len(text) > MAX_LENGTH - 2


@settings(max_examples=50)
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert isinstance(units(text), tuple)
    assert magnitude(text) is None or text.isascii()


def test_garbage_takes_no_time() -> None:
    units("m")
    start = time.process_time()
    for character in "am /·^.(-{\\°1":
        for length in (MAX_LENGTH, 100_000):
            units(character * length)
            units(("m" + character) * (length // 2))
            magnitude(character * length)
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize(
    ("word", "factor"),
    [("dozen", 12), ("dozens", 12), ("hundred", 100), ("Thousand", 1000), ("million", 10**6), ("billion", 10**9)],
)
def test_magnitudes_multiply(word: str, factor: int) -> None:
    assert magnitude(word) == factor
    assert units(word) == ()


@pytest.mark.parametrize("word", ["half", "apples", "", "millionth", "hundredth", "thousandths", "k", "M", "8"])
def test_other_words_are_no_magnitudes(word: str) -> None:
    assert magnitude(word) is None


def test_words_of_the_tables_are_known_in_singular_and_plural() -> None:
    assert [*map(singular, ("Children", "feet", "gadgets"))] == ["child", "foot", "gadgets"]
    assert all(map(is_in_table, ("children", "red", "hours", "cm")))
    assert not any(map(is_in_table, ("gadgets", "south", "minus", "million", "")))
