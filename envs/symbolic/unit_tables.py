"""The words of `units`, as data: what measures, what counts, what multiplies. Every table is one line a row.

A unit is defined by units above it; what no line above names is a base dimension, which converts to nothing else.
Where a word has two meanings it stands on two lines.
"""

from __future__ import annotations

PREFIXES = """
    T tera 1e12
    G giga 1e9
    M mega 1e6
    k kilo 1e3
    h hecto 1e2
    da deca 10
    d deci 1e-1
    c centi 1e-2
    m milli 1e-3
    µ micro 1e-6
    n nano 1e-9
"""
# Symbols, whose case counts where they are capitals; names, which have plurals; the value; which prefixes: all, or
# only those from kilo up, and never without.
UNITS = """
    m; metre meter; 1 metre; all
    s; second; 1 second; all
    g; gram gramme; 1 gram; all
    A; ampere amp; 1 ampere; all
    K; kelvin; 1 kelvin; all
    mol; mole; 1 mole; all
    cd; candela; 1 candela; all

    °; degree deg; 1 degree
    rad; radian; 1 radian; all
    °C °c; celsius centigrade degree_celsius degree_centigrade degree_c; 1 celsius
    °F °f; fahrenheit degree_fahrenheit degree_f; 1 fahrenheit
    °; degree deg; 1 celsius
    °; degree deg; 1 fahrenheit
    ; arcminute; 1/60 degree
    ; arcsecond; 1/3600 degree
    rev; revolution; 360 degree

    ; sec; 1 s
    ; minute min; 60 s
    h; hour hr; 60 min
    d; day; 24 h
    ; week wk; 7 day
    ; fortnight; 14 day
    ; month; 1 month
    ; year yr; 12 month
    ; decade; 10 year
    ; century; 100 year

    in; inch; 0.0254 m
    ; foot/feet ft; 12 in
    ; yard yd; 3 ft
    mi; mile; 1760 yd
    nmi NM; nautical_mile; 1852 m
    ly; light_year lightyear; 9460730472580800 m
    Å; angstrom; 1e-10 m
    ; micron; 1e-6 m
    ; furlong; 220 yd
    ; fathom; 6 ft

    ; acre; 4840 yd^2
    ha; hectare; 10000 m^2
    sqft; ; 1 ft^2
    sqm; ; 1 m^2
    sqkm; ; 1 km^2

    l L ℓ; litre liter; 1 dm^3; all
    cc ccm; ; 1 cm^3
    ; gallon gal; 231 in^3
    ; quart qt; 1/4 gal
    ; pint pt; 1/8 gal
    ; cup; 1/16 gal
    ; fluid_ounce fl_oz; 1/128 gal
    ; tablespoon tbsp; 1/256 gal
    ; teaspoon tsp; 1/768 gal
    bbl; ; 42 gal

    ; kilo; 1 kg
    t; tonne metric_ton; 1000 kg
    ; pound lb; 0.45359237 kg
    lbm; ; 1 lb
    ; ounce oz; 1/16 lb
    ; ounce oz; 1/128 gal
    st; stone; 14 lb
    ; carat; 1/5 g
    ; ton; 2000 lb
    ; ton; 1000 kg

    mph; ; 1 mi/h
    kph kmh kmph; ; 1 km/h
    mps; ; 1 m/s
    fps; ; 1 ft/s
    ; knot; 1 nmi/h
    Hz; hertz; 1 s^-1; all
    rpm; ; 1 rev/min

    N; newton; 1 kg m s^-2; all
    lbf; ; 9.80665 lb m s^-2
    Nm; ; 1 N m; all
    J; joule; 1 N m; all
    eV; electronvolt electron_volt; 1.602176634e-19 J; all
    cal; calorie; 4.184 J; all
    Cal; ; 1 kcal
    W; watt; 1 J/s; all
    Wh; ; 3600 J; all
    BTU btu; ; 1055.05585262 J
    hp; horsepower; 550 ft lbf s^-1
    Pa; pascal; 1 N/m^2; all
    bar; bar; 100000 Pa; all
    atm; atmosphere; 101325 Pa
    torr mmHg; ; 101325/760 Pa
    psi; ; 1 lbf/in^2

    C; coulomb; 1 A s; all
    V; volt; 1 J/C; all
    Ω; ohm; 1 V/A; all
    F; farad; 1 C/V; all
    T; tesla; 1 V s m^-2; all
    Wb; weber; 1 V s; all
    H; henry; 1 V s A^-1; all
    Ah; ; 3600 C; all
    Bq; becquerel; 1 s^-1; all
    dB; decibel; 1 decibel

    bit; bit; 1 bit; big
    b; ; 1 bit; big
    B; byte; 8 bit; big
    KB; ; 8000 bit
    bps; ; 1 bit/s; big

    $ US$ usd; dollar buck us_dollar; 1 dollar
    ¢; cent; 1/100 dollar
    € eur; euro; 1 euro
    ¢; cent eurocent; 1/100 euro
    £ gbp; pound pound_sterling; 1 sterling
    ; pence; 1/100 gbp
    ¥ jpy; yen; 1 yen
    cny rmb; yuan; 1 yuan
    ₹ inr rs; rupee; 1 rupee
    ; paise; 1/100 rupee
    chf; franc; 1 franc
    ; peso; 1 peso

    ; unit; 1 unit
"""
MAGNITUDES = """
    dozen 12
    hundred 100
    thousand 1e3
    lakh 1e5
    million 1e6
    crore 1e7
    billion 1e9
    trillion 1e12
"""
# Each a dimension of its own. "man/men" has a plural that no rule makes.
NOUNS = """
    person/people man/men woman/women child/children kid boy girl baby adult student pupil teacher friend member
    player worker employee farmer customer guest visitor passenger soldier voter team family couple class group club
    school house home room floor door window wall building store shop farm garden park street city town country state
    animal dog cat puppy kitten cow pig sheep/sheep goat horse chicken hen duck goose/geese rabbit mouse/mice fish/fish
    bird bee ant spider frog turtle lion tiger bear elephant monkey snake butterfly insect egg leg eye ear tooth/teeth
    apple orange banana pear peach plum grape lemon lime mango melon watermelon strawberry cherry berry fruit vegetable
    carrot potato/potatoes tomato/tomatoes onion pepper bean nut seed flower rose tulip tree plant leaf/leaves bush
    cookie cake cupcake pie pizza sandwich burger donut doughnut muffin brownie cracker candy lollipop chocolate
    sweet slice piece loaf/loaves bread serving meal lunch dinner drink bottle can glass jar jug bowl plate spoon fork
    book page chapter paper sheet notebook magazine newspaper letter word sentence story poem pen pencil crayon marker
    eraser sticker stamp card postcard envelope picture photo painting photograph poster ticket coupon badge ribbon
    toy doll ball balloon marble block brick bead button kite puzzle game video movie song bicycle bike car truck bus
    train plane boat ship van wagon wheel tire seat chair table desk bed lamp bulb battery phone computer laptop
    box bag basket packet pack package carton crate case bucket barrel container tray shelf/shelves drawer pile stack
    row column line bundle bunch pair set clip coin penny nickel dime note bill shirt hat sock shoe dress jacket
    glove scarf/scarves skirt coat blanket towel pillow rope string stick stone rock bar tile pole post nail screw
    point goal win match round turn lap trip visit step stair jump throw shot try
    way time possibility permutation combination arrangement outcome case subset pathway path route choice option
    solution root zero term factor multiple divisor prime integer number digit value pair element edge side
    vertex/vertices face diagonal angle triangle square rectangle circle cube sphere polygon pentagon hexagon
    region segment question problem answer test quiz exam mark grade lesson item object thing part product order
    vote medal prize gift shell sack peanut raisin pancake waffle tourist driver nurse doctor artist
    shift job task call message email view download follower subscriber
    molecule atom electron proton neutron cell bacterium/bacteria gene particle photon ion
"""
# What may stand before a noun. The words of the first line say nothing of what is counted.
PLAIN_ADJECTIVES = "different distinct possible total unique"
ADJECTIVES = """
    red blue green yellow white black brown pink purple orange gray grey golden silver
    big small large little tall long short old new young full empty whole real complex rational positive negative
    even odd prime adult male female wooden plastic glass paper chocolate vanilla
"""
# What may stand behind a unit, and says nothing of it.
ENDINGS = "apart|deep|each|high|long|old|tall|thick|wide|altogether|in all|in total|overall|total|remaining"
