r"""The dress of an answer (fonts, colours, sizes, maths delimiters, Markdown, a full stop) is taken off; words stay.

Answers are hostile input. Every step reads the text once, by a regular expression without nested repetition and a
stack of what is open, so that the time is linear. Nothing here knows what a text means: mathematics (`\frac`, `\left`,
`\sqrt`), spaces (`\,`, `~`) and signs are left to those who read them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator

_LONGEST = 100_000  # characters; a longer text is not an answer either
_ROUNDS = 5  # dress over dress settles in two; a text that goes on changing is not an answer


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MATHS_FONTS = _words(
    "mathbf mathit mathsf mathtt mathnormal mathcal mathscr mathfrak bm boldsymbol pmb underline uline underbar "
    "mathbfit symbf symrm symit bold ensuremath boxed bbox smash num "
    "mathord mathop mathbin mathrel mathopen mathclose mathpunct mathinner"
)
_TEXT_FONTS = _words(
    "text textbf textit textrm textsf texttt textsc textsl textup textmd textnormal emph mbox hbox fbox framebox "
    "mathrm mathup operatorname pu si unit"
)
_DECLARATIONS = _words(
    "bf it rm sf tt sl sc em cal bfseries mdseries itshape slshape scshape upshape rmfamily sffamily ttfamily "
    "normalfont boldmath unboldmath tiny scriptsize footnotesize small normalsize large Large LARGE huge Huge "
    "displaystyle textstyle scriptstyle scriptscriptstyle centering noindent strut mathstrut color"
)
_DELIMITERS = frozenset({"$", "\\(", "\\)", "\\[", "\\]"})
_SPACES = frozenset({"~", "\\,", "\\;", "\\:", "\\!", "\\ ", "\\\\", "\\\n", "\\quad", "\\qquad"})

_COLOUR = (
    r"\\(?:(?:text|math)?color|colorbox|scalebox|fcolorbox ?\{[^{}]{0,60}\}) ?(?:\[[^\[\]{}]{0,60}\])?\{[^{}]{0,60}\}"
    r"|\\bbox ?\[[^\[\]{}]{0,60}\]"
)
_FRAME = r"\\(?:begin|end) ?\{(?:equation|align(?:ed)?|gather(?:ed)?|multline|split|displaymath|math|center)\*?\}"
_ARGUMENT = re.compile(r"[0-9]+(?:\.[0-9]+)?|[A-Za-z]+")  # of a font without braces: `\mathbf 7`
_TYPESETTING = re.compile(
    rf"(?P<dropped>(?:{_COLOUR}|{_FRAME})[ \t\n]*)"
    r"|\\(?P<command>[A-Za-z]+)(?:(?<=operatorname)\*)?[ \t\n]*"
    r"|\\[^A-Za-z]|\$|[^\\$]+|\\",
    re.DOTALL,
)
_DRESSED = re.compile("[\\\\$*_`<~\U0001d400-\U0001d7ff]|\\A\\s|[\\s.,;:。}]\\Z")
_UNICODE_FONTS = re.compile("[\U0001d400-\U0001d7ff]+")
_CURRENCY = re.compile(r"(?<=[0-9])[ \t]*\$|(?<!\\)\$(?=[ \t]*\.?[0-9])")
_GROUPS = re.compile(r"\\text\{|\\[A-Za-z]+|\\.|[{}]|[^\\{}]+|\\", re.DOTALL)
_POWER = re.compile(r"-?[0-9]+")
_STRUCK_OUT = re.compile(r"(?<![~\\])~~(?=[^\s~])([^~]*[^\s~,;:])~~(?![~A-Za-z0-9(\\])")  # else two of LaTeX's blanks
_MARKS = re.compile(
    r"\\(?:[A-Za-z]+|.)|[^\W\d_]+|\s+|\*+|_+|`+"
    r"|</?(?:b|i|u|em|strong|mark|code|tt|big|small|font|span|p|div)(?: [^<>]{0,80})?>|[^\\\w\s*`<]+|\d+|.",
    re.DOTALL,
)
_TEXT_GROUP = re.compile(r"\\text\{([^{}]*)\}")
_SPACE = re.compile(r"\\[,;: ]|\\q?quad(?![A-Za-z])|(?<!~)~(?!~)")
_LOOSE_GROUP = re.compile(r"(^|[\s(,;:*])\{([^{}]*)\}")  # a group that is no argument
_SIGN_OFF = re.compile(
    r"\\(?:left|right|middle)[ \t]*\.|\\[A-Za-z]+|\\.|\.\.+|~~+|[{}.,;:。~]|\s+|[^\\{}.,;:。~\s]+|\\", re.DOTALL
)


def undressed(text: str) -> str:
    r"""The text without its presentation; to undress twice is to undress once.

    - Fonts of mathematics, underlines, colours and boxes become a group, `\mathbf{X}` and `\mathbf X` alike: `{X}`.
    - Unicode's letters and digits in fonts of mathematics (`𝟕`) become those of ASCII and Greek.
    - Fonts of text become `\text{X}`, one of several about the same words; `{X}` if X is mathematics.
    - Declarations and sizes (`\bf`, `\Large`, `\displaystyle`, `\color{blue}`) and maths delimiters are dropped.
      `\$` stays, and so does a lone `$` beside a number, as `\$`.
    - Markdown and HTML emphasis is dropped where there is nothing before it that it could multiply; what Markdown
      strikes out is struck out in LaTeX, too: `\sout{X}`.
    - One `.`, `,`, `;` or `:` and blanks at the end are dropped; `!` and `...` mean something.

    >>> undressed(r"$\frac{\mathbf{2}}{9}$."), undressed(r"\textbf{\textit{Oslo}}"), undressed("**2**3**")
    ('\\frac{2}{9}', '\\text{Oslo}', '2**3')
    """
    if len(text) > _LONGEST or _DRESSED.search(text) is None:
        return text
    bare = _UNICODE_FONTS.sub(lambda letters: unicodedata.normalize("NFKC", letters.group()), text)
    for _ in range(_ROUNDS):
        before, bare = bare, _without_sign_off(_without_emphasis(_flat(_single(_without_typesetting(bare)))))
        if bare == before:
            return bare
    return text


def bare_words(text: str) -> str:
    r"""The undressed text without the groups that fonts leave, and with blanks for LaTeX's spaces.

    For answers that are words or rows of digits; arguments, as of `\frac{1}{2}`, stay in their groups.

    >>> bare_words(r"\textbf{New}\ \mathbf{York}."), bare_words(r"**\boxed{7}**"), bare_words(r"\frac{\mathbf{1}}{2}")
    ('New York', '7', '\\frac{1}{2}')
    """
    if _DRESSED.search(text) is None and "{" not in text:
        return text
    return _LOOSE_GROUP.sub(r"\1\2", _SPACE.sub(" ", _TEXT_GROUP.sub(r"\1", undressed(text)))).strip()


def _joined(pieces: Iterable[str | None]) -> str:
    """The pieces in a row; None is one that was dropped, and keeps a number or command apart from what follows."""
    kept: list[str] = []
    gap = False
    for piece in pieces:
        if not piece:
            gap = True
            continue
        if gap and kept and _would_merge(kept[-1], piece):
            kept.append(" ")
        kept.append(piece)
        gap = False
    return "".join(kept)


def _would_merge(left: str, right: str) -> bool:
    if left[-1].isdigit() and right[0].isdigit():
        return True
    return left[0] == "\\" and left[-1].isalpha() and right[0].isalpha()


def _without_typesetting(text: str) -> str:
    if "\\" not in text and "$" not in text:
        return text
    if text.count("$") == 1:
        text = _CURRENCY.sub(lambda found: found.group().replace("$", "\\$"), text)
    return _joined(_typeset_pieces(text))


def _typeset_pieces(text: str) -> Iterator[str | None]:
    position = 0
    while match := _TYPESETTING.match(text, position):
        position = match.end()
        command, piece = match["command"], match.group()
        if match["dropped"] or piece in _DELIMITERS or command in _DECLARATIONS:
            yield None
        elif command in _MATHS_FONTS or command in _TEXT_FONTS:
            opening = "\\text{" if command in _TEXT_FONTS else "{"
            argument = _ARGUMENT.match(text, position)
            if argument:
                position = argument.end()
                yield from (opening, argument.group(), "}")
            elif text.startswith("{", position):
                position += 1
                yield opening
            else:
                yield None
        else:
            yield piece


def _single(text: str) -> str:
    """One group instead of a group in a group with nothing beside it; more than four are no dress, and stay."""
    if "{{" not in text or "{{{{{" in text:
        return text
    pieces = _GROUPS.findall(text)
    opened: list[int] = []
    closed: dict[int, int] = {}
    for number, piece in enumerate(pieces):
        if piece == "}" and opened:
            closed[opened.pop()] = number
        elif piece in ("{", "\\text{"):
            opened.append(number)
    inner = [number + 1 for number, end in closed.items() if closed.get(number + 1) == end - 1]
    for number in inner:
        if pieces[number] == "{":
            pieces[number] = pieces[closed[number]] = ""
    return "".join(pieces)


def _flat(text: str) -> str:
    r"""`\text{...}` without groups in it; a group instead of it around mathematics."""
    if "\\text{" not in text:
        return text
    pieces = _GROUPS.findall(text)
    return _joined(_flat_pieces(pieces, _maths_groups(pieces)))


def _maths_groups(pieces: list[str]) -> set[int]:
    r"""Which groups, by the number of their opening piece, hold a command or an index or power that is no number."""
    found: set[int] = set()
    opened: list[int] = []
    for number, piece in enumerate(pieces):
        if piece == "}":
            if opened and opened.pop() in found and opened:
                found.add(opened[-1])
            continue
        if opened and _is_mathematics(pieces, number):
            found.add(opened[-1])
        if piece[-1] == "{" and piece != "\\{":
            opened.append(number)
    return found


def _is_mathematics(pieces: list[str], number: int) -> bool:
    piece = pieces[number]
    if piece == "{":
        follows = pieces[number + 1 : number + 3]
        is_number = len(follows) == 2 and follows[1] == "}" and _POWER.fullmatch(follows[0])
        return pieces[number - 1][-1] in "^_" and not is_number
    return piece[0] == "\\" and piece[-1].isalpha() and piece not in _SPACES


def _flat_pieces(pieces: list[str], mathematics: set[int]) -> Iterator[str | None]:
    closings: list[str | None] = []
    words = 0  # groups that are open, from the first of words on
    for number, piece in enumerate(pieces):
        if piece == "}" and closings:
            words = max(words - 1, 0)
            yield closings.pop()
        elif piece not in ("{", "\\text{"):
            yield piece
        elif words:
            words += 1
            closings.append(None)
            yield None
        elif piece == "{" or number in mathematics:
            closings.append("}")
            yield "{"
        elif pieces[number + 1 : number + 2] == ["}"]:
            closings.append(None)
            yield None
        else:
            words = 1
            closings.append("}")
            yield piece


def _without_emphasis(text: str) -> str:
    text = _STRUCK_OUT.sub(r"\\sout{\1}", text) if "~~" in text else text
    if not any(mark in text for mark in "*_`<"):
        return text
    pieces: list[str | None] = [*_MARKS.findall(text)]
    opened: dict[str, list[int]] = defaultdict(list)
    for opening, closing in _emphasis(_MARKS.findall(text), opened):
        pieces[opening] = pieces[closing] = None
    return _joined(pieces)


def _emphasis(pieces: list[str], opened: dict[str, list[int]]) -> Iterator[tuple[int, int]]:
    """The pairs of marks that emphasise what stands between them, as numbers of pieces."""
    before, blank = "", True  # the last piece that is not blank, and whether there were blanks behind it
    for number, piece in enumerate(pieces):
        after = pieces[number + 1] if number + 1 < len(pieces) else ""
        if piece.isspace():
            blank = True
            continue
        if piece[0] == "<" and len(piece) > 1:
            name = piece.strip("</>").partition(" ")[0]
            if piece[1] != "/":
                opened[name].append(number)
            elif opened[name]:
                yield opened[name].pop(), number
        elif piece[0] in "*_`" and len(piece) <= 3:
            if opened[piece] and opened[piece][-1] < number - 1 and not pieces[number - 1].isspace() and _ends(after):
                yield opened[piece].pop(), number
            elif not _multiplies(before, blank) and after and not after.isspace():
                opened[piece].append(number)
        before, blank = piece, False


def _multiplies(before: str, blank: bool) -> bool:
    """Whether a star or index may belong to what stands before it: anything but a sign, or a word and a blank."""
    if not before or before == "\\text":
        return False
    is_word = before[0] != "\\" and before.isalpha() and len(before) > 1
    if blank and (is_word or before[-1] == "."):
        return False
    return before[-1].isalnum() or before[-1] in ")]}!'%°|."


def _ends(after: str) -> bool:
    """Whether a closing mark may stand before this."""
    if after.startswith("\\"):
        return after == "\\text" or not after[-1].isalpha()
    return not after or not (after[0].isalnum() or after[0] in "([{")


def _without_sign_off(text: str) -> str:
    pieces = _SIGN_OFF.findall(text)
    closings: list[str] = []
    while pieces and (pieces[-1] in _SPACES or pieces[-1] in ".,;:。}\\" or pieces[-1].isspace()):
        piece = pieces.pop()
        if piece == "}":
            closings.append(piece)
    first = 0
    while first < len(pieces) and (pieces[first] in _SPACES or pieces[first].isspace()):
        first += 1
    return "".join(pieces[first:] + closings)
