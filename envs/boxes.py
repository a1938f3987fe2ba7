r"""Reading the boxes of a response, `\boxed{...}` and its kin, in one pass over hostile text.

A stack of open braces, no recursion; nothing in a response is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

_COMMANDS = ("\\boxed", "\\fbox", "\\framebox")
_TOKEN = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])\s*(\{)?|\\\\(?!boxed|fbox|framebox)|\\[{}]|[{}]")
# An argument without braces: a number, a letter, a command with its own arguments. TeX would take the first digit only.
_ARGUMENT = re.compile(r"(?=[0-9A-Za-z+\-.]|\\[A-Za-z])(?:\\(?!boxed|fbox|framebox)[A-Za-z]+|\{[^{}]*\}|[^\s$\\{}])++")
_WORD = re.compile(r"[A-Za-z]{2,}")
_MENTIONED = re.compile(
    r"(?:[\s.\u2026_?~]|\\(?:[lc]?dots|square|_|[,;:! ])|\\q?quad)*"
    r"|[<\[(]?(?:insert |put |write )?(?:your |the |my |an? )?(?:final )?"
    r"(?:answer|result|solution|value|number|expression|letter)(?: goes)?(?: here)?[>\])]?",
    re.IGNORECASE,
)
_LONGEST_MENTION = 40
_SPEAKER = r"(?:User|Human|Question|Problem|Exercise|Instruction)(?: ?[0-9]{1,3})?"
_NEXT_TURN = re.compile(  # a speaker, or the mark of a turn in a chat template, which no answer holds
    rf"\n[ \t]*(?:(?:[#*]{{1,4}} ?)?{_SPEAKER}(?:\*\*)? ?:|[#*]{{1,4}} ?{_SPEAKER}[.:]?(?:\*\*|[ \t]*\n)|Q:)"
    r"|<[|\uff5c](?:im_start|im_end|eot_id|end_of_text|endoftext|start_header_id|user|User|end|end_of_turn|return"
    r"|end\u2581of\u2581sentence)[|\uff5c]>"
    r"|<(?:start|end)_of_turn>|</s>|\[INST\]",
    re.IGNORECASE,
)

_MOST_VALUES = 100
_LONGEST_JOINT = 120  # characters between two boxes of one statement
_WORDS = (
    "and|or|also|as well as|the|other|another|one|first|second|third|fourth|last|smaller|larger|smallest|largest"
    "|is|root|solution|value|number|zero"
)
_JOINT = re.compile(
    rf"(?:\b(?:{_WORDS})\b:?|\\(?:q?quad|lor|land|vee|wedge)\b|\\[\\,;:! ()\[\]]"
    r"|\n[ \t]*[-*\u2022][ \t]|\(?\b[0-9a-h][.)]|\*\*|\.(?=[\s$])|[\s$,;~])++",
    re.IGNORECASE,
)
# What makes of the first box no value of a list: a bracket of a pair or an interval, an operator or relation, a word.
_NO_LIST = re.compile(
    r"(?:(?<!\\)[(\[]|(?<![-=])>|(?<!\*)\*|[-+/^_<|!·×÷−±∓√≠≤≥≈0-9]"
    r"|\\(?:cdot|times|div|ast|pm|mp|sqrt|neg?|neq|not|leq?|geq?|leqslant|geqslant|lt|gt|approx|sim|notin|frac"
    r"|log|ln|exp|sin|cos|tan|cot|sec|csc))[\s$]*$"
    r"|(?:\b(?:not|never|neither|nor|cannot|between|than|except|excluding|without|unless|instead of)"
    r"|\b(?:wrong|incorrect|false)|n['’]t)\b(?:[^\n.,:!?;\\]|\\[(\[]){0,20}$",
    re.IGNORECASE,
)
_NO_LIST_BEHIND_IT = re.compile(
    r"[0-9A-Za-z]|[\s$]*\?|[\s$]*(?:[+/^·×÷]|[-*]\s*[0-9]|\\(?:cdot|times|div|pi|sqrt|frac)(?![A-Za-z]))"
    r"|[^\n.,:;!?\\]{0,20}(?:\b(?:not|never|wrong|extraneous|incorrect|false|impossible|excluded)|n['’]t)\b",
    re.IGNORECASE,
)
_BULLET = re.compile(r"(?:^|\n)[ \t]*[-*\u2022][ \t]+[\s$]*$")
_TEXT = re.compile(r"\\(?:text[a-z]*|mbox)\s*\{([^{}]*)\}")
_SET = r"(?:^|(?<=[\s$(,;:{\[&*~]))(?P<name>(?:\\[a-z]+|[A-Za-z])(?:_(?:\w|\{\w{1,9}\}))?(?:\(\w\))?)\s*&?=&?"
_NAME_SET = re.compile(_SET, re.ASCII)
_INDEX = re.compile(r"[_(]")
_NAME = re.compile(_SET + r"\s*(?:\$|\\\(|\\\[)?\s*$", re.ASCII)
_NO_BRACES = str.maketrans("", "", "{}\\")
_LONGEST_NAME = 40
_AROUND_BOX = frozenset({("", ""), ("$", "$"), ("$$", "$$")})  # before and behind a box that is all of another
_LONGEST_CONTEXT = 40  # characters before and behind a list of boxes that say whether it is one


class Box(NamedTuple):
    """A box of a text.

    Attributes:
        start: where it starts, with its command.
        end: where the text goes on behind it.
        content: what it holds, bare; "" for an empty box.
    """

    start: int
    end: int
    content: str


def boxes(response: str) -> list[Box]:
    r"""The boxes with answers, in order; none if the response ends in one that is cut off.

    A box is `\boxed{7}`, `\fbox{7}`, `\boxed 7` or `\boxed\frac12`. Of nested ones the outermost counts, or the only
    thing in it that is one. A box that is empty or holds a placeholder, as in "your answer in `\boxed{...}`", is no
    answer, unless there are only such and it is not empty. A response ends where the user speaks again.

    >>> [box.content for box in boxes(r"First \boxed{3}, then $\boxed 4$, as \boxed{} demands.")]
    ['3', '4']
    >>> boxes(r"\boxed{3}, or rather \boxed{4")
    []
    """
    found, cut_off = _outermost(response)
    if len(found) == 1 and cut_off < 0:
        return found if found[0].content else []
    filled = [box for box in found if box.content]
    answers = [box for box in filled if not _is_mentioned(box.content)] or filled
    end = _end_of_turn(response, answers[0].end) if answers else len(response)
    answers = [box for box in answers if box.start < end]
    return [] if answers and answers[-1].start < cut_off < end else answers


def closing_statement(response: str, found: Sequence[Box], names: Collection[str] = ()) -> list[str]:
    r"""What the last of the boxes found hold, as far back as only commas, "and", names and the like join them.

    Equal ones count once. Boxes behind "not" or "between", a sign or an opening bracket are no list.

    Where the boxes have different names, `x_1 = \boxed{1}` and `x_2 = \boxed{2}`, these go with what they hold. If they
    differ in more than an index, all must be among `names`, as `names_set` finds them in a truth: x and y are not the
    two roots of an equation.

    >>> response = r"With $d=\boxed{13}$ the roots are $x=\boxed{-4}$ and $x=\boxed{9}$."
    >>> closing_statement(response, boxes(response))
    ['-4', '9']
    >>> response = r"So $y = \boxed{5}$, $x = \boxed{3}$."
    >>> closing_statement(response, boxes(response)), closing_statement(response, boxes(response), names_set("x=3,y=5"))
    (['3'], ['y=5', 'x=3'])
    """
    closing = _closing_boxes(response, found[-_MOST_VALUES:])
    named = {name for name, _ in closing if name is not None}
    if len({_INDEX.split(name)[0] for name in named}) > 1 and not {*map(_spelled, named)} <= {*names}:
        return [found[-1].content]
    has_names = len(named) > 1 and all(name is not None for name, _ in closing)
    return list(dict.fromkeys(f"{name}={content}" if has_names else content for name, content in closing))


def names_set(text: str) -> frozenset[str]:
    r"""The names that a text sets equal to something, without braces and backslashes.

    >>> sorted(names_set(r"x_{1} = 3, \alpha=5"))
    ['alpha', 'x_1']
    """
    return frozenset(_spelled(found["name"]) for found in _NAME_SET.finditer(text))


def bare(content: str) -> str:
    r"""What a box holds, without blanks, one `\text{...}` and one pair of dollar signs around all of it."""
    content = content.strip()
    if content[:1] == "\\" and content.startswith("\\text{") and content.find("}") == len(content) - 1:
        content = content[len("\\text{") : -1].strip()
    if content[:1] == "$" and content.find("$", 1) == len(content) - 1 > 0:
        content = content[1:-1].strip()
    return content


def _outermost(text: str) -> tuple[list[Box], int]:
    """The complete boxes that stand in no other, and where the last that is not complete starts; -1 if none is."""
    found: list[Box] = []
    open_braces: list[tuple[int, int] | None] = []  # a box's start, and its content's; None for any other brace
    cut_off = -1
    latex = max(text.find("\\"), 0)  # one character is found ten times as fast as a word
    first = [position for command in _COMMANDS if (position := text.find(command, latex)) >= 0]
    for match in _TOKEN.finditer(text, min(first, default=len(text))):
        token = match.group()
        if token == "{":
            open_braces.append(None)
        elif token == "}":
            opened = open_braces.pop() if open_braces else None
            if opened is not None:
                _close(found, text, *opened, match.start())
        elif match.group(1):
            open_braces.append((match.start(), match.end()))
        elif token[1] in "bf":
            found.extend(_unbraced(text, match))
            cut_off = match.start() if match.end() == len(text) else cut_off
    return found, max([cut_off, *(opened[0] for opened in open_braces if opened is not None)])


def _unbraced(text: str, command: re.Match[str]) -> Iterator[Box]:
    """The box of a command without a brace, if an argument follows; in "the boxed command" none does."""
    argument = _ARGUMENT.match(text, command.end())
    content = argument.group().rstrip(".,;:!?") if argument else ""
    if argument and not _WORD.fullmatch(content):
        yield Box(command.start(), argument.end(), bare(content))


def _close(found: list[Box], text: str, start: int, content: int, end: int) -> None:
    """Put a box in the place of those inside it; one that holds nothing but another box is that one."""
    inner: list[Box] = []
    while found and found[-1].start > start:
        inner.append(found.pop())
    only = inner[0] if len(inner) == 1 else None
    if only and (text[content : only.start].strip(), text[only.end : end].strip()) in _AROUND_BOX:
        found.append(Box(start, end + 1, only.content))
    else:
        found.append(Box(start, end + 1, bare(text[content:end])))


def _is_mentioned(content: str) -> bool:
    return len(content) <= _LONGEST_MENTION and _MENTIONED.fullmatch(content) is not None


def _end_of_turn(text: str, position: int) -> int:
    turn = _NEXT_TURN.search(text, position)
    return turn.start() if turn else len(text)


def _closing_boxes(text: str, found: Sequence[Box]) -> list[tuple[str | None, str]]:
    """The names and contents of the last boxes, back to where more than a joint stands between two."""
    names, starts = zip(*(_name(text, box) for box in found), strict=True) if found else ((), ())
    first = len(found) - 1
    while first > 0 and _is_joint(text[found[first - 1].end : starts[first]], is_named=names[first] is not None):
        first -= 1
    if found and not _is_list(text, starts[first], found[-1].end):
        first = len(found) - 1
    return [(name, box.content) for name, box in zip(names[first:], found[first:], strict=True)]


def _spelled(name: str) -> str:
    return name.translate(_NO_BRACES)


def _is_list(text: str, start: int, end: int) -> bool:
    """Whether what stands around boxes that are joined leaves them a list of values."""
    lead = text[max(start - _LONGEST_CONTEXT, 0) : start]
    is_led = _BULLET.search(lead) is not None or _NO_LIST.search(lead) is None
    return is_led and _NO_LIST_BEHIND_IT.match(text, end, end + _LONGEST_CONTEXT) is None


def _is_joint(between: str, *, is_named: bool) -> bool:
    """Whether what stands between two boxes joins them; before a name, blanks do not: "3 x = 4" is an equation."""
    if len(between) > _LONGEST_JOINT or (is_named and not between.strip(" \t")):
        return False
    return _JOINT.fullmatch(_TEXT.sub(r" \1 ", between)) is not None


def _name(text: str, box: Box) -> tuple[str | None, int]:
    """The name that a box is set equal to, and where it starts; None and the box's start if there is none."""
    first = max(box.start - _LONGEST_NAME, 0)
    found = _NAME.search(text[first : box.start])
    return (found["name"], first + found.start("name")) if found else (None, box.start)
