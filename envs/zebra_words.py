"""The words of zebra puzzles: who lives in the houses, what can be said of them, and how a clue says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """A property of people: the line that lists its values, and the phrase that stands for each value in a clue."""

    heading: str
    phrases: Mapping[str, str]


def _theme(heading: str, pattern: str, values: str) -> Theme:
    """One pattern for all values: `{}` is the value as listed, `{Title}` with capitals."""
    listed = values.split(", ")
    return Theme(heading, {value: pattern.format(value, Title=value.title()) for value in listed})


PEOPLE = _theme(
    "Each person has a unique name",
    "{Title}",
    "anna, boris, clara, dmitri, elena, farid, greta, hugo, ines, jonas, kira, liam",
)

THEMES: tuple[Theme, ...] = (
    Theme(
        "They all have a different favorite flower",
        {
            "tulips": "the person who grows tulips",
            "violets": "the person with a pot of violets",
            "peonies": "the peony gardener",
            "sunflowers": "the person who paints sunflowers",
            "poppies": "the person who picks poppies",
            "jasmine": "the person who smells of jasmine",
            "lavender": "the person with a lavender hedge",
            "asters": "the person who waters asters",
        },
    ),
    _theme(
        "Each mother is accompanied by their child",
        "the mother of {Title}",
        "oscar, wanda, felix, nora, casper, ruby, milo, stella",
    ),
    Theme(
        "Each person has a favorite drink",
        {
            "cocoa": "the cocoa drinker",
            "juice": "the one who only drinks juice",
            "lemonade": "the person who likes lemonade",
            "cider": "the cider lover",
            "kefir": "the kefir drinker",
            "mocha": "the person who orders a mocha",
            "matcha": "the matcha enthusiast",
            "ginger ale": "the ginger ale drinker",
        },
    ),
    Theme(
        "Everyone plays a different instrument",
        {
            "violin": "the violinist",
            "cello": "the cellist",
            "flute": "the person who plays the flute",
            "drums": "the drummer",
            "harp": "the harp player",
            "piano": "the pianist",
            "trumpet": "the trumpet player",
            "banjo": "the person with a banjo",
        },
    ),
    Theme(
        "The people keep different animals",
        {
            "hamster": "the hamster owner",
            "parrot": "the parrot keeper",
            "goat": "the person who milks a goat",
            "turtle": "the turtle owner",
            "rabbit": "the rabbit breeder",
            "donkey": "the person who rides a donkey",
            "ferret": "the ferret lover",
            "duck": "the person who keeps ducks",
        },
    ),
    _theme(
        "People use different phone models",
        "the person who uses a {Title}",
        "nokia 3310, pixel fold, galaxy note 9, fairphone 4, motorola razr, nothing phone, moto g, blackberry bold",
    ),
    _theme(
        "Each person has a favorite color",
        "the person who loves {}",
        "teal, crimson, amber, olive, indigo, silver, maroon, beige",
    ),
    Theme(
        "The people are of nationalities",
        {
            "swede": "the Swede",
            "finn": "the Finn",
            "italian": "the Italian",
            "kenyan": "the Kenyan",
            "korean": "the Korean",
            "pole": "the Pole",
            "chilean": "the Chilean",
            "turk": "the Turkish person",
        },
    ),
    Theme(
        "Everyone has something different for lunch",
        {
            "ramen": "the ramen eater",
            "risotto": "the person who cooks risotto",
            "tacos": "the taco lover",
            "salad": "the person who is having salad",
            "curry": "the curry enthusiast",
            "lasagna": "the person who bakes lasagna",
            "dumplings": "the person who folds dumplings",
            "omelette": "the omelette eater",
        },
    ),
    _theme(
        "Everyone drives a different car",
        "the person who drives a {Title}",
        "volvo, fiat, skoda, honda, jeep, saab, tesla, mazda",
    ),
    Theme(
        "Each person has a hobby",
        {
            "chess": "the chess player",
            "pottery": "the potter",
            "sailing": "the person who sails",
            "origami": "the person who folds origami",
            "fencing": "the fencer",
            "knitting": "the person who knits",
            "archery": "the archer",
            "stargazing": "the stargazer",
        },
    ),
    _theme(
        "Each person has a different occupation",
        "the {}",
        "carpenter, dentist, pilot, librarian, plumber, surgeon, florist, baker",
    ),
)
