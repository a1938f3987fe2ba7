"""Science questions made on the spot: physics, chemistry and biology that can be worked out.

Most questions chain laws (`science_facts`); the rest are about elements, DNA and inheritance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.science_facts import (
    BIOLOGY,
    CHEMISTRY,
    ELEMENTS,
    OPENINGS,
    OPERATIONS,
    PHYSICS,
    Law,
    Opening,
)
from mtgrpo_env.envs.science_options import Question, choose_wrong, numeric_question

_SMALLEST = 0.05  # the least value asked for, in its unit
_BASES = "ACGT"
_PAIRED = str.maketrans("ACGT", "TGCA")
_STRAND = 9  # bases of the shortest strand

_GENES = "ABDEGHKMRT"
_GENES_PER_CROSS = 4  # offspring shares of one gene are so many parts
# Parents' genes, and the parts that show the dominant and the recessive form.
_CROSSES = (("{0}{1} × {0}{1}", (3, 1)), ("{0}{1} × {1}{1}", (2, 2)))

_FIRST_ELEMENT = 11  # there is room below its numbers for nine wrong ones
_NEARBY = 12

# Two given quantities in letters, the one asked for, and whether they are multiplied or divided.
_LETTERED = "maF* Fam/ IRV* VRI/ VIP* PVI/ vtd* dtv/ FdW* WtP/ Ptw* mvp* pmv/ fLv* vfL/ ItQ* QtI/ nMm* mMn/ nVN*"
_COMPACT_LAWS = tuple(_LETTERED.split())
_COMPACT_LARGEST = 99


def draw_question(dice: Dice, *, steps: int, options: int) -> Question:
    """A question that takes 1 to 4 steps, with 2 to 10 options, all different.

    >>> import numpy as np
    >>> question = draw_question(Dice(np.random.default_rng(0)), steps=1, options=4)
    >>> len({question.right, *question.wrong})
    4
    """
    return dice.pick(_KINDS)(dice, steps, options)


def draw_compact(dice: Dice) -> Question:
    """A question of one step in a handful of characters: `m6a7F` asks for the force on 6 kg at 7 m/s².

    It has four options, all of one or two digits.
    """
    first, second, asked, operation = dice.pick(_COMPACT_LAWS)
    x = dice.between(2, 30)
    y = dice.between(2, _COMPACT_LARGEST // x)
    product = x * y
    given, right = (x, product) if operation == "*" else (product, x)
    mistaken = (given + y, abs(given - y), right + 1, right - 1, right + y, right - y, given, y, 10 * right, product)
    others = [dice.between(1, _COMPACT_LARGEST) for _ in mistaken]
    usable = (value for value in dice.shuffled((*mistaken, *others)) if value <= _COMPACT_LARGEST)
    wrong = choose_wrong(dice, right, (*usable, *range(1, _COMPACT_LARGEST + 1)), 3, lambda a, b: a != b)
    return Question(f"{first}{given}{second}{y}{asked}", str(right), tuple(str(value) for value in wrong))


def _chained(dice: Dice, steps: int, options: int, subject: str) -> Question:
    """A quantity is given, and `steps` laws lead from it to the one asked for."""
    while True:
        opening, path = dice.pick(dice.pick(_routes(subject, steps)))
        start = dice.between(opening.low, opening.high) * opening.scale
        given = [_drawn(dice, law) for law in path]
        right = _follow(start, path, given)
        if right > _SMALLEST:
            break
    said = [opening.text.format(x=_plain(start))]
    said += [law.text.format(g=_plain(number)) for law, number in zip(path, given, strict=True) if law.text]
    return numeric_question(dice, " ".join(said), path[-1].result, right, _mistaken(start, path, given), options)


def _drawn(dice: Dice, law: Law) -> float:
    return law.low if law.low == law.high else dice.between(int(law.low), int(law.high)) * law.scale


def _plain(number: float) -> str:
    return f"{number:.10g}"


def _follow(start: float, path: Sequence[Law], given: Sequence[float], wrong: int = -1, slip: int = 0) -> float:
    """Where the laws lead; at place `wrong`, mistake number `slip` is made. Zero or less where that cannot be."""
    value = start
    for place, law in enumerate(path):
        operation, mistakes = OPERATIONS[law.operation]
        if place == wrong:
            operation = mistakes[slip]
        if value <= 0:
            break
        value = operation(value, given[place]) * law.factor
    return value


def _mistaken(start: float, path: Sequence[Law], given: Sequence[float]) -> list[float]:
    """What comes out with one law taken wrongly, a constant forgotten, or the last step left out."""
    found = [
        _follow(start, path, given, place, slip)
        for place, law in enumerate(path)
        for slip in range(len(OPERATIONS[law.operation][1]))
    ]
    right = _follow(start, path, given)
    found += [right / law.factor for law in path if law.factor != 1]
    if len(path) > 1:
        found.append(_follow(start, path[:-1], given))
    return found


_SUBJECTS = {"physics": PHYSICS, "chemistry": CHEMISTRY, "biology": BIOLOGY}
_Route = tuple[Opening, tuple[Law, ...]]


@cache
def _routes(subject: str, steps: int) -> tuple[tuple[_Route, ...], ...]:
    """Every way to chain `steps` laws; those that differ only in a substance stand together, to be drawn as one."""
    groups: dict[tuple[str, ...], list[_Route]] = {}
    for opening in OPENINGS:
        for path in _walks(_SUBJECTS[subject], steps, (opening.quantity,)):
            kinds = (opening.quantity.split()[0], *(f"{law.result} {law.operation}" for law in path))
            groups.setdefault(kinds, []).append((opening, path))
    return tuple(tuple(group) for group in groups.values())


def _walks(laws: tuple[Law, ...], steps: int, seen: tuple[str, ...]) -> Iterator[tuple[Law, ...]]:
    """Chains from the last quantity seen that come to no quantity twice, but for laws that lead back to it at once."""
    if steps == 0:
        yield ()
        return
    for law in laws:
        turns = law.source == law.result
        if law.source == seen[-1] and (law.result not in seen or (turns and len(seen) == 1)):
            for rest in _walks(laws, steps - 1, (*seen, law.result)):
                yield (law, *rest)


def _elements(dice: Dice, steps: int, options: int) -> Question:
    """The protons of an element; the neutrons of one nuclide or several."""
    drawn = dice.shuffled(range(_FIRST_ELEMENT, len(ELEMENTS) + 1))[: max(1, steps - 1)]
    names = [ELEMENTS[number - 1] for number in drawn]
    if steps == 1:
        symbol, name = names[0]
        text, right = f"How many protons has the nucleus of an atom of {dice.pick((symbol, name))}?", drawn[0]
        mistaken = [drawn[0] * 2, drawn[0] * 2 + 1]
    else:
        masses = [2 * number + dice.below(number // 2) for number in drawn]
        right = sum(masses) - sum(drawn)
        mistaken = [sum(masses), sum(drawn), sum(masses) + sum(drawn)]
        atoms = ", ".join(f"{dice.pick(name)}-{mass}" for name, mass in zip(names, masses, strict=True))
        text = f"How many neutrons, taken together, have the nuclei of one atom each of: {atoms}?"
    nearby = dice.shuffled([right + offset for offset in range(-_NEARBY, _NEARBY + 1) if offset])
    wrong = choose_wrong(dice, right, (*mistaken, *nearby), options - 1, lambda a, b: a != b)
    return Question(text, str(right), tuple(str(value) for value in wrong))


def _strands(dice: Dice, steps: int, options: int) -> Question:
    """The strand that pairs with one of DNA, read in either direction, or transcribed, or spliced too."""
    strand = "".join(dice.pick(_BASES) for _ in range(_STRAND + steps))
    paired = strand.translate(_PAIRED)
    cut = dice.between(1, 4)
    messenger = paired[::-1].replace("T", "U")
    asked, right = (
        ("Which DNA strand pairs with it, written 3'→5'?", paired),
        ("Which DNA strand pairs with it, written 5'→3'?", paired[::-1]),
        ("It is the template. Which RNA is transcribed from it, written 5'→3'?", messenger),
        (
            "It is the template. Which RNA, written 5'→3', is left of the transcript "
            f"once bases {cut + 1} to {cut + 3}, counted from its 5' end, are cut out?",
            messenger[:cut] + messenger[cut + 3 :],
        ),
    )[steps - 1]
    letters = sorted({*"ACG", "U" if steps > 2 else "T"})
    others = (paired, paired[::-1], strand, strand[::-1])
    found = [text.replace("T", "U") if steps > 2 else text for text in others]
    if steps == 4:
        found += [text[:cut] + text[cut + 3 :] for text in found]
    wrong = list(dict.fromkeys(text for text in found if text != right and len(text) == len(right)))[: options - 1]
    wrong = dice.shuffled(wrong)[: 1 + dice.below(len(wrong))] if wrong else []
    while len(wrong) < options - 1:
        # Grown from any option, so that the right one is not the one that all others resemble.
        text, place = dice.pick((right, *wrong)), dice.below(len(right))
        changed = text[:place] + dice.pick(letters) + text[place + 1 :]
        if changed != right and changed not in wrong:
            wrong.append(changed)
    return Question(f"A strand of DNA reads 5'-{strand}-3'. {asked}", right, tuple(wrong))


def _crosses(dice: Dice, steps: int, options: int) -> Question:
    """How many offspring of a cross show a form of each of `steps` independent genes."""
    offspring = _GENES_PER_CROSS**steps * dice.between(3, 400)
    parts, mistaken_parts, described, forms = 1, 1, [], []
    for gene in dice.shuffled(_GENES)[:steps]:
        parents, shares = dice.pick(_CROSSES)
        form = dice.below(2)
        parts *= shares[form]
        mistaken_parts *= shares[1 - form]
        described.append(parents.format(gene, gene.lower()))
        forms.append(f"{('dominant', 'recessive')[form]} in {gene}")
    whole = offspring / _GENES_PER_CROSS**steps
    said = (
        f"Genes with one dominant form each, inherited independently, are crossed: {', '.join(described)}. "
        f"There are {offspring} offspring, of which those that look {', '.join(forms)} are counted."
    )
    mistaken = (whole * mistaken_parts, whole, offspring / 2**steps, offspring / (2 * steps), offspring - whole * parts)
    return numeric_question(dice, said, "expected", whole * parts, mistaken, options)


_Kind = Callable[[Dice, int, int], Question]
_KINDS: tuple[_Kind, ...] = (
    *(partial(_chained, subject="physics"),) * 5,
    *(partial(_chained, subject="chemistry"),) * 3,
    *(partial(_chained, subject="biology"),) * 2,
    _elements,
    _strands,
    _crosses,
)
