"""Text environments with verifiable rewards: generate a puzzle, show it, verify the answer.

A new task is a subclass with four short methods; one more, `reply`, makes it a conversation. See `TextEnv`.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from mtgrpo_env.chat import continued
from mtgrpo_env.log_once import log_once
from mtgrpo_env.spaces import TEXT, is_sendable
from mtgrpo_env.types import LARGEST_REWARD, Split, checked_split

_logger = logging.getLogger(__name__)

PuzzleT = TypeVar("PuzzleT", bound=Hashable)

Outcome = Literal["correct", "wrong", "no_answer", "scorer_error"]

REWARD_CORRECT = 1.0
REWARD_WRONG = 0.1
REWARD_NO_ANSWER = 0.0

_TEST_BUCKETS = 8  # one puzzle in eight belongs to the test split
_MAX_DRAWS = 10_000

_MAX_RECENT = 4096
_recent_puzzles: dict[tuple[type, Hashable, Split, int], Any] = {}  # the N envs of a group draw once


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one response; `reward` and correctness are kept apart."""

    reward: float
    is_success: bool
    outcome: Outcome

    @property
    def valid(self) -> bool:
        """False when the scorer failed, so that the reward says nothing about the response."""
        return self.outcome != "scorer_error"

    @property
    def info(self) -> dict[str, Any]:
        """What the last `step` of an episode says besides the reward."""
        return {"is_success": self.is_success, "outcome": self.outcome, "valid": self.valid}


CORRECT = Verdict(REWARD_CORRECT, True, "correct")
WRONG = Verdict(REWARD_WRONG, False, "wrong")
NO_ANSWER = Verdict(REWARD_NO_ANSWER, False, "no_answer")
SCORER_ERROR = Verdict(0.0, False, "scorer_error")


class NoKnownSolution(ValueError):
    """What `oracle` raises of a puzzle whose solution is not known: it can be played and judged all the same."""


class NoSolution(NoKnownSolution):
    """What it raises of a puzzle that certainly has none."""


class Provenance(NamedTuple):
    """Where a puzzle came from: enough to make it again, and to tell whether it is still the same one.

    Attributes:
        task: the env's class.
        version: of that class; see `TextEnv.version`.
        level: its level's name.
        split: the split it was drawn from.
        puzzle_seed: what `TextEnv.draw` made it from.
        hash: of its canonical key, 16 hexadecimal digits.
    """

    task: str
    version: int
    level: str
    split: Split
    puzzle_seed: int
    hash: str


class Opening(NamedTuple):
    """How an episode starts: the puzzle, what is shown of it, and where it came from."""

    puzzle: Any
    prompt: str
    provenance: Provenance


def hash_of(key: str) -> str:
    """A short name for a canonical key; 64 bits, so that chance collisions need billions of puzzles.

    >>> hash_of("1,2,3=6")
    '0abc39bb1ddb8947'
    """
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def split_of(key: str) -> Split:
    """The split a puzzle belongs to, by its canonical key: no puzzle is ever in both.

    >>> split_of("1,2,3=6") == split_of("1,2,3=6")
    True
    """
    return "test" if zlib.crc32(key.encode(errors="surrogatepass")) % _TEST_BUCKETS == 0 else "train"


class TextEnv(gym.Env[str, str], Generic[PuzzleT]):
    """One question, one response, one verdict; or, where `reply` says so, a conversation.

    A subclass says what a puzzle is and implements `generate`, `prompt`, `verify` and `oracle`;
    `guess` and `key` have defaults that a careful author overrides. A puzzle is a frozen, hashable
    value: the N envs of a group share it. None of these methods changes the env: what a puzzle and
    some responses come to depends on nothing else.

    `info` holds the puzzle's `provenance` after `reset`, and `is_success`, `outcome` and `valid` after
    the last `step`. Between turns the observation is the whole conversation so far, a `ChatText`, so a
    language model needs no memory of its own.

    Args:
        level: which kind of puzzle to generate; hashable, and equal levels generate equal puzzles.
        split: which puzzles this env draws by default; `reset(options={"split": ...})` overrides it.
        render_mode: None or "ansi".

    Raises:
        ValueError: if `split` or `render_mode` is unknown.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}
    observation_space = TEXT
    action_space = TEXT
    option_names: frozenset[str] = frozenset({"split"})
    version: ClassVar[int] = 1
    """Of the task: raise it when the same seed would give another puzzle, or the same response another verdict."""
    LEVELS: ClassVar[Mapping[str, Hashable]] = {}
    """What can be given as `level`, by name; empty for a task without named levels."""

    def __init__(self, *, level: Hashable = None, split: Split = "train", render_mode: str | None = None) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        self.level = level
        self.split = checked_split(split)
        self.render_mode = render_mode
        self._puzzle: PuzzleT | None = None
        self._conversation = ""
        self._responses: tuple[str, ...] = ()
        self._is_over = False

    @abstractmethod
    def generate(self, rng: np.random.Generator) -> PuzzleT:
        """Draw one puzzle; all randomness comes from `rng`."""

    @abstractmethod
    def prompt(self, puzzle: PuzzleT) -> str:
        """What is asked, as a person would be; a `ChatText` where it takes several messages."""

    @abstractmethod
    def verify(self, puzzle: PuzzleT, response: str) -> Verdict:
        """Judge a response. It is hostile input: never evaluate it, never take super-linear time."""

    @abstractmethod
    def oracle(self, puzzle: PuzzleT) -> str:
        """A response that `verify` calls correct.

        Raises:
            NoKnownSolution: if none is known, as of rows of a file.
        """

    def reply(self, puzzle: PuzzleT, responses: Sequence[str]) -> Verdict | str:
        """What the latest of the responses is met with: a verdict ends the episode, a text is the user's next turn."""
        return self.verify(puzzle, responses[-1])

    def prefetch(self, puzzle: PuzzleT, response: str) -> None:  # only slow verifiers have something to start
        """Start judging a response that a `step` is about to ask for, without waiting for it.

        For verifiers that work in other processes, so that the responses of a batch are judged side by side.
        """

    def guess(self, puzzle: PuzzleT, rng: np.random.Generator) -> str:
        """A well-formed response made without thinking: the score to beat."""
        return ""

    def key(self, puzzle: PuzzleT) -> str:
        """Canonical name of the puzzle: two puzzles with one key are the same problem."""
        return self.prompt(puzzle)

    def source(self, puzzle: PuzzleT) -> str:
        """Where a puzzle stands, for messages about it."""
        return f"{type(self).__name__} {hash_of(self.key(puzzle))}"

    def content(self, puzzle: PuzzleT) -> str:
        """All of a puzzle of a fixed list: a run does not resume on a list in which this has changed."""
        return self.key(puzzle)

    def indices(self, split: Split) -> Sequence[int] | None:
        """Of a task with a fixed list of puzzles, the places of those of a split, no two with one key; else None.

        Such a task shows the puzzle at a place by `reset(options={"index": place})`.
        """
        return None

    @property
    def level_name(self) -> str:
        """The level as people write it."""
        return "" if self.level is None else str(self.level)

    @property
    def puzzle(self) -> PuzzleT:
        """The puzzle on the table.

        Raises:
            gym.error.ResetNeeded: before the first reset.
        """
        if self._puzzle is None:
            raise gym.error.ResetNeeded(f"call reset() before using {type(self).__name__}")
        return self._puzzle

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Show the next puzzle.

        Raises:
            ValueError: if `options` has a key other than those in `option_names`.
        """
        super().reset(seed=seed)
        opening = self._open(self.np_random, options)
        self._puzzle, self._conversation = opening.puzzle, opening.prompt
        self._responses, self._is_over = (), False
        return opening.prompt, {"provenance": opening.provenance._asdict()}

    def opening(self, *, seed: int, options: Mapping[str, Any] | None = None) -> Opening:
        """What `reset` with this seed and these options would show; the env's own episode goes on.

        Raises:
            ValueError: as in `reset`.
        """
        return self._open(seeding.np_random(seed)[0], options)

    def _open(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> Opening:
        chosen = options or {}
        unknown = chosen.keys() - self.option_names
        if unknown:
            raise ValueError(f"options must be among {sorted(self.option_names)}, got {sorted(unknown)}")
        # One integer names the puzzle, so the N envs of a group can share the work of drawing it.
        puzzle_seed = int(rng.integers(2**62))
        puzzle = self.draw(puzzle_seed, chosen)
        prompt = self.prompt(puzzle)
        if not is_sendable(prompt):
            raise ValueError(f"{type(self).__name__} must write prompts that UTF-8 can encode, got {prompt!r:.200}")
        return Opening(puzzle, prompt, self._provenance(puzzle, puzzle_seed, chosen))

    def _provenance(self, puzzle: PuzzleT, puzzle_seed: int, options: Mapping[str, Any]) -> Provenance:
        split = checked_split(options.get("split", self.split))
        key_hash = hash_of(self.key(puzzle))
        return Provenance(type(self).__name__, self.version, self.level_name, split, puzzle_seed, key_hash)

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> PuzzleT:
        """The puzzle that `puzzle_seed` names in the chosen split."""
        split = checked_split(options.get("split", self.split))
        name = (type(self), self.level, split, puzzle_seed)
        if name not in _recent_puzzles:
            if len(_recent_puzzles) >= _MAX_RECENT:
                _recent_puzzles.clear()
            _recent_puzzles[name] = self._search(split, np.random.default_rng(puzzle_seed))
        return _recent_puzzles[name]

    def _search(self, split: Split, rng: np.random.Generator) -> PuzzleT:
        for _ in range(_MAX_DRAWS):
            puzzle = self.generate(rng)
            if split_of(self.key(puzzle)) == split:
                return puzzle
        raise RuntimeError(
            f"{type(self).__name__} (level {self.level!r}) generated no {split} puzzle in {_MAX_DRAWS} draws: "
            "its puzzles have too few distinct keys to be split"
        )

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge `action`, and end the episode or go on with the conversation.

        Raises:
            gym.error.ResetNeeded: before a reset, or after the episode ended.
            ValueError: if the action is not in the action space.
        """
        puzzle = self.puzzle
        if self._is_over:
            raise gym.error.ResetNeeded("this episode has ended: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be a str of at most {TEXT.max_length} characters, got {_describe(action)}")
        self._responses += (action,)
        verdict, self._conversation = self.advance(puzzle, self._conversation, self._responses)
        if verdict is None:
            return self._conversation, 0.0, False, False, {}
        self._is_over = True
        return "", verdict.reward, True, False, verdict.info

    def advance(self, puzzle: PuzzleT, conversation: str, responses: Sequence[str]) -> tuple[Verdict | None, str]:
        """What the latest response leads to: a verdict that ends the episode, or None and a longer conversation.

        A conversation that outgrows the observation space ends without an answer. A reward that is no finite number is
        the scorer's failure, and logged once.
        """
        told = self.reply(puzzle, responses)
        if isinstance(told, Verdict):
            return (told if abs(told.reward) <= LARGEST_REWARD else self._failed(told)), conversation
        longer = continued(conversation, responses[-1], told)
        return (None, longer) if self.observation_space.contains(longer) else (NO_ANSWER, conversation)

    def _failed(self, told: Verdict) -> Verdict:
        expected = f"{type(self).__name__}: expected a reward that is a finite number, got {told.reward:.0e}"
        log_once(_logger, logging.WARNING, f"{expected}: such rollouts are invalid, count as none, and teach nothing")
        return SCORER_ERROR

    def render(self) -> str | None:
        """The conversation and, once the episode is over, the last response."""
        if self.render_mode is None:
            return None
        _ = self.puzzle  # raises before the first reset
        return self._conversation + (f"\n> {self._responses[-1]}" if self._is_over else "")


def _describe(value: object) -> str:
    return f"a str of {len(value)} characters" if isinstance(value, str) else f"{type(value).__name__}: {value!r:.80}"
