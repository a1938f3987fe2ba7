"""What the science questions are made of: quantities, the laws that lead from one to the next, and data.

A law turns one quantity into another with the help of one more number, which a sentence gives. Questions
chain them, so every law reads on from "this force", whatever the force came from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Operation = Callable[[float, float], float]


class Quantity(NamedTuple):
    """How a quantity is asked for, and its unit."""

    phrase: str
    unit: str = ""


class Opening(NamedTuple):
    """A sentence that gives the first quantity, as a multiple of `scale` between two ends."""

    quantity: str
    text: str
    low: int
    high: int
    scale: float = 1


@dataclass(frozen=True, slots=True)
class Law:
    """One step of a calculation: `result = operation(source, given)`, times `factor`.

    Attributes:
        source: the quantity known so far.
        result: the quantity it leads to.
        operation: a key of `OPERATIONS`.
        text: the sentence that gives the other number.
        low: of the other number, in units of `scale`.
        high: included.
        scale: what `low` and `high` are multiples of.
        factor: a constant of nature, or of a table.
    """

    source: str
    result: str
    operation: str
    text: str
    low: float = 1
    high: float = 1
    scale: float = field(default=1, kw_only=True)
    factor: float = field(default=1, kw_only=True)


def _times(x: float, given: float) -> float:
    return x * given


def _over(x: float, given: float) -> float:
    return x / given


def _into(x: float, given: float) -> float:
    return given / x


# What each operation does, then what people do instead.
OPERATIONS: Mapping[str, tuple[Operation, tuple[Operation, ...]]] = {
    "times": (_times, (_over, _into)),
    "over": (_over, (_times, _into)),
    "into": (_into, (_times, _over)),
    "half square": (
        lambda x, given: x * given * given / 2,
        (lambda x, given: x * given * given, lambda x, given: x * given / 2, _times),
    ),
    "halve": (
        lambda x, given: x / 2**given,
        (lambda x, given: x / (2 * given), lambda x, given: x - x / 2**given, lambda x, given: x / 2 ** (given - 1)),
    ),
    "double": (
        lambda x, given: x * 2**given,
        (lambda x, given: x * 2 * given, lambda x, given: x * 2 ** (given - 1), lambda x, given: x * given**2),
    ),
    "pH": (lambda x, _: -math.log10(x), (lambda x, _: -math.log(x), lambda x, _: 14 + math.log10(x))),
    "less one": (lambda x, _: x - 1, (lambda x, _: x, lambda x, _: x + 1)),
}

QUANTITIES: Mapping[str, Quantity] = {
    "mass": Quantity("the mass", "kg"),
    "force": Quantity("the force", "N"),
    "energy": Quantity("the energy", "J"),
    "power": Quantity("the power", "W"),
    "current": Quantity("the current", "A"),
    "voltage": Quantity("the voltage", "V"),
    "charge": Quantity("the charge", "C"),
    "resistance": Quantity("the resistance", "Ω"),
    "speed": Quantity("the speed", "m/s"),
    "distance": Quantity("the distance", "m"),
    "momentum": Quantity("the momentum", "kg·m/s"),
    "pressure": Quantity("the pressure", "Pa"),
    "volume": Quantity("the volume", "m³"),
    "wavelength": Quantity("the wavelength", "m"),
    "frequency": Quantity("the frequency", "Hz"),
    "warming": Quantity("the rise in temperature", "K"),
    "amount": Quantity("the amount of substance in the sample", "mol"),
    "particles": Quantity("the number of molecules"),
    "acid": Quantity("the amount of substance of the acid", "mol"),
    "concentration": Quantity("the concentration of the acid", "mol/L"),
    "dilute": Quantity("the concentration after dilution", "mol/L"),
    "pH": Quantity("the pH"),
    "product": Quantity("the mass of the product", "g"),
    "gas": Quantity("the volume of the gas", "L"),
    "activity": Quantity("the activity", "Bq"),
    "decays": Quantity("the number of decays"),
    "cells": Quantity("the number of cells"),
    "density": Quantity("the number of cells per millilitre"),
    "drawn": Quantity("the number of cells in the sample"),
    "regrown": Quantity("the number of cells in the end"),
    "expected": Quantity("the number to expect"),
    "bases": Quantity("the number of bases"),
    "codons": Quantity("the number of codons"),
    "residues": Quantity("the number of amino acids in the protein"),
    "protein": Quantity("the mass of the protein", "kDa"),
}

# Formula: name and molar mass in g/mol.
SUBSTANCES: Mapping[str, tuple[str, float]] = {
    "H2O": ("water", 18.0),
    "CO2": ("carbon dioxide", 44.0),
    "NH3": ("ammonia", 17.0),
    "CH4": ("methane", 16.0),
    "O2": ("oxygen", 32.0),
    "N2": ("nitrogen", 28.0),
    "SO2": ("sulfur dioxide", 64.1),
    "C2H6": ("ethane", 30.1),
    "C3H8": ("propane", 44.1),
    "C2H5OH": ("ethanol", 46.1),
    "C6H12O6": ("glucose", 180.2),
    "H2O2": ("hydrogen peroxide", 34.0),
    "CS2": ("carbon disulfide", 76.1),
    "CCl4": ("tetrachloromethane", 153.8),
}

# Strong, of one proton; as in `SUBSTANCES`.
ACIDS: Mapping[str, tuple[str, float]] = {
    "HCl": ("hydrogen chloride", 36.5),
    "HBr": ("hydrogen bromide", 80.9),
    "HI": ("hydrogen iodide", 127.9),
    "HNO3": ("nitric acid", 63.0),
    "HClO4": ("perchloric acid", 100.5),
}

PHYSICS: tuple[Law, ...] = (
    Law("mass", "force", "times", "The body of this mass accelerates at {g} m/s².", 2, 60, scale=0.5),
    Law("mass", "momentum", "times", "The body of this mass moves at {g} m/s.", 2, 60),
    Law("mass", "energy", "half square", "The body of this mass moves at {g} m/s; take its kinetic energy.", 3, 60),
    Law("mass", "volume", "over", "The material of this mass has a density of {g} kg/m³.", 50, 900, scale=10),
    Law("volume", "mass", "times", "The material of this volume has a density of {g} kg/m³.", 50, 900, scale=10),
    Law("force", "energy", "times", "This force does work over a distance of {g} m.", 2, 80),
    Law("force", "pressure", "over", "This force is spread evenly over an area of {g} m².", 2, 90, scale=0.1),
    Law("force", "mass", "over", "This force alone accelerates a body at {g} m/s².", 3, 60, scale=0.5),
    Law("momentum", "force", "over", "All of this momentum is lost to a steady force in {g} s.", 2, 50),
    Law("momentum", "speed", "over", "The body with this momentum has a mass of {g} kg.", 2, 60),
    Law("pressure", "force", "times", "This pressure acts on a piston of {g} m².", 2, 90, scale=0.1),
    Law("energy", "power", "over", "This energy is delivered in {g} s.", 3, 90),
    Law("energy", "charge", "over", "This energy moves a charge through {g} V.", 3, 60),
    Law(
        "energy",
        "warming",
        "over",
        "This energy heats {g} kg of water, of specific heat capacity 4200 J/(kg·K).",
        2,
        40,
        factor=1 / 4200,
    ),
    Law("power", "energy", "times", "This power is kept up for {g} s.", 5, 90),
    Law("power", "current", "over", "This power is drawn at {g} V.", 3, 60),
    Law("power", "speed", "over", "This power pulls a sledge against a drag of {g} N.", 3, 80),
    Law("current", "charge", "times", "This current flows for {g} s.", 5, 90),
    Law("current", "voltage", "times", "This current passes through a resistor of {g} Ω.", 3, 90),
    Law("current", "resistance", "into", "This current flows when {g} V are applied to a resistor.", 3, 90),
    Law("voltage", "current", "over", "This voltage is applied to a resistor of {g} Ω.", 3, 90),
    Law("voltage", "power", "times", "At this voltage a lamp draws a current of {g} A.", 2, 60, scale=0.5),
    Law("charge", "current", "over", "This charge passes in {g} s.", 3, 60),
    Law("charge", "energy", "times", "This charge moves through a potential difference of {g} V.", 3, 90),
    Law("speed", "distance", "times", "This speed is kept up for {g} s.", 3, 90),
    Law("speed", "momentum", "times", "A body of {g} kg moves at this speed.", 2, 60),
    Law("speed", "wavelength", "over", "A wave travels at this speed with a frequency of {g} Hz.", 3, 90),
    Law("distance", "speed", "over", "A runner covers this distance in {g} s.", 3, 90),
    Law("wavelength", "frequency", "into", "Waves of this wavelength travel at {g} m/s.", 3, 90),
    Law("frequency", "wavelength", "into", "Waves of this frequency travel at {g} m/s.", 20, 900, scale=10),
)

CHEMISTRY: tuple[Law, ...] = (
    *(Law(f"reactant {formula}", "amount", "over", "", mass, mass) for formula, (_, mass) in SUBSTANCES.items()),
    Law("amount", "particles", "times", "A mole is {g} × 10^23 molecules.", 6.022, 6.022, factor=1e23),
    *(Law(f"acid {formula}", "acid", "over", "", mass, mass) for formula, (_, mass) in ACIDS.items()),
    Law("acid", "concentration", "over", "The acid is dissolved to give {g} L of solution.", 2, 60, scale=0.5),
    *(
        Law("amount", "product", "times", f"Each mole of it yields {{g}} mol of {name}, {formula}.", 2, 6, factor=mass)
        for formula, (name, mass) in SUBSTANCES.items()
    ),
    Law("amount", "gas", "times", "Each mole of it sets free {g} mol of a gas, at 24.0 L/mol.", 2, 9, factor=24),
    Law("concentration", "dilute", "over", "This solution is diluted to {g} times its volume.", 2, 90),
    Law("concentration", "pH", "pH", "The acid is strong, and a molecule gives off one proton."),
    Law("dilute", "pH", "pH", "The acid is strong, and a molecule gives off one proton."),
)

BIOLOGY: tuple[Law, ...] = (
    Law("activity", "activity", "halve", "The sample is left alone for {g} half-lives.", 2, 9),
    Law("activity", "decays", "times", "It is then counted for {g} s, far shorter than its half-life.", 5, 90),
    Law("cells", "cells", "double", "The cells divide {g} times in step.", 3, 12),
    Law("cells", "density", "over", "The cells are spread evenly in {g} mL.", 3, 60),
    Law("density", "drawn", "times", "A sample of {g} mL is drawn.", 2, 90, scale=0.1),
    Law("drawn", "regrown", "double", "This sample starts a culture of its own, whose cells divide {g} times.", 3, 12),
    Law("bases", "codons", "over", "All of these bases are read in codons.", 3, 3),
    Law("codons", "residues", "less one", "The last of these codons is a stop codon."),
    Law("residues", "protein", "times", "An amino acid adds {g} Da on average.", 100, 120, factor=0.001),
)

OPENINGS: tuple[Opening, ...] = (
    Opening("mass", "A body has a mass of {x} kg.", 2, 400, 0.5),
    Opening("force", "A steady force of {x} N acts.", 5, 400),
    Opening("momentum", "A body has a momentum of {x} kg·m/s.", 5, 400),
    Opening("pressure", "A gas is at a pressure of {x} Pa.", 10, 400, 100),
    Opening("energy", "A store holds an energy of {x} J.", 10, 400, 50),
    Opening("power", "A machine has a power of {x} W.", 5, 400),
    Opening("current", "A current of {x} A flows.", 2, 200, 0.1),
    Opening("voltage", "A supply has a voltage of {x} V.", 3, 240),
    Opening("charge", "A capacitor holds a charge of {x} C.", 2, 200, 0.1),
    Opening("speed", "A speed of {x} m/s is measured.", 3, 400),
    Opening("distance", "A distance of {x} m is marked.", 10, 900),
    Opening("volume", "A block has a volume of {x} m³.", 2, 200, 0.01),
    Opening("wavelength", "A wavelength of {x} m is measured.", 2, 200, 0.1),
    Opening("frequency", "A tuning fork has a frequency of {x} Hz.", 20, 900),
    *(
        Opening(f"{kind} {formula}", f"A sample holds {{x}} g of {name}, {formula}.", 3, 900)
        for kind, table in (("reactant", SUBSTANCES), ("acid", ACIDS))
        for formula, (name, _) in table.items()
    ),
    Opening("amount", "A sample holds {x} mol of a molecular substance.", 3, 900, 0.01),
    Opening("concentration", "A solution holds {x} mol/L of an acid.", 2, 900, 0.001),
    Opening("activity", "A radioactive tracer has an activity of {x} Bq.", 20, 900, 10),
    Opening("cells", "A culture starts with {x} cells.", 10, 900, 10),
    Opening("density", "A culture holds {x} cells per millilitre.", 10, 900, 100),
    Opening("bases", "The coding part of a messenger RNA has {x} bases, stop codon included.", 30, 990, 3),
)

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe"
)
_NAMES = (
    "hydrogen helium lithium beryllium boron carbon nitrogen oxygen fluorine neon sodium magnesium aluminium silicon "
    "phosphorus sulfur chlorine argon potassium calcium scandium titanium vanadium chromium manganese iron cobalt "
    "nickel copper zinc gallium germanium arsenic selenium bromine krypton rubidium strontium yttrium zirconium "
    "niobium molybdenum technetium ruthenium rhodium palladium silver cadmium indium tin antimony tellurium iodine "
    "xenon"
)
# Symbol and name; the atomic number is the place in the list, from 1.
ELEMENTS: tuple[tuple[str, str], ...] = tuple(zip(_SYMBOLS.split(), _NAMES.split(), strict=True))
