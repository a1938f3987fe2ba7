"""Generation with a transformers model in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion, left_padded
from mtgrpo_env.agents.llm.decoding import decoder_of
from mtgrpo_env.agents.llm.draws import Chances, Draws
from mtgrpo_env.agents.llm.engines import Decoding, Weights
from mtgrpo_env.agents.llm.stopping import Decode, StopStrings
from mtgrpo_env.progress import advance

_WORTH_DROPPING = 0.9  # rows held that still run; dropping the others copies what these have cached
_BELOW_ONE = 1 - 1e-6  # rounding must not carry a chance to the end, where tokens of no probability may be


class TransformersEngine:
    """Batched sampling with the model that is being trained: nothing to synchronise.

    Each prompt is computed once; finished rows leave the batch, some at a time.

    Args:
        model: a causal language model.
        pad_id: token id of padding.
        end_ids: token ids that end a completion.
        decode: the text of token ids, in which stop strings are looked for; not needed without them.
        rows_at_once: completions generated in one batch; bounds the memory.
        whole: entered while the model generates, where its parameters are elsewhere partitioned.
        autocast: entered around its passes, where they compute in another type than its parameters have.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        pad_id: int,
        end_ids: Sequence[int],
        decode: Decode | None = None,
        rows_at_once: int = 1024,
        whole: Callable[[], AbstractContextManager[object]] = nullcontext,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.model = model
        self.pad_id = pad_id
        self.end_ids = tuple(end_ids)
        self.decode = decode
        self.rows_at_once = rows_at_once
        self.whole = whole
        self.autocast = autocast

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        """See `RolloutEngine`; log-probabilities are those of the distribution drawn from, see `draw`.

        Raises:
            ValueError: for stop strings without `decode`.
            FloatingPointError: if the model's logits are not finite.
        """
        limit, stratified = decoding.max_new_tokens, decoding.stratified
        draws = [
            Draws.of_prompt(seed, count, limit, stratified=stratified)
            for seed, count in zip(seeds, counts, strict=True)
        ]
        rows = np.repeat(np.arange(len(prompts)), counts)
        for start in range(0, len(rows), self.rows_at_once):
            part = rows[start : start + self.rows_at_once]
            first, last = int(part[0]), int(part[-1])
            offset = start - int(np.sum(counts[:first]))
            of_part = Draws.concatenated(draws[first : last + 1]).rows(slice(offset, offset + len(part)))
            with self.autocast():
                completions = self._generate(prompts, part, decoding, of_part)
            yield from enumerate(completions, start)

    def load_weights(self, weights: Weights) -> None:
        """Nothing: the model that generates is the one that is trained."""

    def generating(self) -> AbstractContextManager[object]:
        return self.whole()

    @torch.no_grad()  # in inference mode autocast would cast every weight for every token
    def _generate(
        self, prompts: Sequence[tuple[int, ...]], places: np.ndarray, decoding: Decoding, draws: Draws
    ) -> list[Completion]:
        """A completion of the prompt at each of (R,) `places`, in order; the draws of R rows decide its tokens."""
        device, first, limit = self.model.device, int(places[0]), decoding.max_new_tokens
        padded = left_padded(prompts[first : int(places[-1]) + 1], self.pad_id)
        ids, mask = (torch.as_tensor(array, device=device) for array in padded)
        rows, chances = torch.as_tensor(places - first, device=device), Chances(draws, device)
        growing = _Growing(len(rows), limit, self.end_ids, self._stop_strings(decoding), device)
        with decoder_of(self.model, ids, mask, rows, max_tokens=limit) as decoder:
            logits, num_running = decoder.first_logits, len(rows)
            for t in range(limit):
                chosen, log_probs, rest = draw(logits, decoding, chances.of(growing.held, t))
                _check_finite(log_probs, places, growing)
                chances.use(growing.held, t, rest, log_probs)
                growing.append(chosen, log_probs)
                advance(tokens=num_running)
                num_running = int(growing.running.sum())
                if not num_running or t + 1 == limit:
                    break
                if num_running <= _WORTH_DROPPING * len(growing.held):
                    kept = torch.nonzero(growing.running).squeeze(1)
                    decoder.keep(kept)
                    growing.keep(kept)
                    chosen = chosen[kept]
                logits = decoder.step(chosen)
        return growing.completions([prompts[place] for place in places])

    def _stop_strings(self, decoding: Decoding) -> StopStrings | None:
        if not decoding.stop:
            return None
        if self.decode is None:
            raise ValueError(f"stop strings are found in text: expected an engine with `decode`, got {decoding.stop}")
        return StopStrings(decoding.stop, self.decode)


class _Growing:
    """R completions that grow by a token at a time; those that have ended can be let go.

    Attributes:
        held: (H,) rows that grow, ended ones among them.
        running: (H,) those that have not ended.
        length: tokens of a row that has not ended.
    """

    def __init__(
        self, num_rows: int, limit: int, end_ids: Sequence[int], stop: StopStrings | None, device: torch.device
    ) -> None:
        self._tokens = torch.zeros(num_rows, limit, dtype=torch.long, device=device)
        self._log_probs = torch.zeros(num_rows, limit, device=device)
        self._lengths = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._end_ids = torch.tensor(end_ids, dtype=torch.long, device=device)
        self._stop = stop
        self.held = torch.arange(num_rows, device=device)
        self.running = torch.ones(num_rows, dtype=torch.bool, device=device)
        self.length = 0

    def append(self, tokens: torch.Tensor, log_probs: torch.Tensor) -> None:
        """The next token of each row held, (H,); those of rows that have ended do not count."""
        self._tokens[self.held, self.length], self._log_probs[self.held, self.length] = tokens, log_probs
        self._lengths[self.held] += self.running
        self.length += 1
        if self._stop is not None:
            columns = zip(self.held.tolist(), tokens.tolist(), self.running.tolist(), strict=True)
            runs_on = [runs and not self._stop.completed_by(row, token) for row, token, runs in columns]
            self.running = torch.tensor(runs_on, device=self.running.device)
        self.running = self.running & ~torch.isin(tokens, self._end_ids)

    def keep(self, kept: torch.Tensor) -> None:
        """Let go of all but these, places in `held`."""
        self.held, self.running = self.held[kept], self.running[kept]

    def completions(self, prompts: Sequence[tuple[int, ...]]) -> list[Completion]:
        """What the rows have drawn for their (R,) prompts; those that still run are cut off."""
        cut_off = set(self.held[self.running].tolist())
        columns = zip(prompts, self._tokens.tolist(), self._log_probs.tolist(), self._lengths.tolist(), strict=True)
        return [
            Completion(prompt, tuple(ids[:n]), tuple(values[:n]), "length" if row in cut_off else "stop")
            for row, (prompt, ids, values, n) in enumerate(columns)
        ]


def draw(
    logits: torch.Tensor, decoding: Decoding, chances: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(R,) tokens, their log-probabilities, and where in the tokens' shares of [0, 1) the rows' chances lie.

    A token is drawn where the cumulated probabilities pass the row's chance, in the precision of the chances. The
    log-probabilities are those of the distribution drawn from, at the temperature and after top-k and top-p (vLLM's
    `processed_logprobs`); of the likeliest token, at temperature 0, under the model itself.
    """
    log_probs = torch.log_softmax(logits.float() / (decoding.temperature or 1.0), dim=-1)
    if decoding.temperature == 0:
        chosen = log_probs.argmax(dim=-1, keepdim=True)
        return chosen.squeeze(1), log_probs.gather(1, chosen).squeeze(1), chances
    log_probs = _restricted(log_probs, decoding)
    cumulated = log_probs.to(chances.dtype).exp().cumsum(dim=-1)
    passed = chances[:, None] * cumulated[:, -1:] * _BELOW_ONE
    chosen = torch.searchsorted(cumulated, passed, right=True)
    chosen = chosen.clamp(max=logits.shape[1] - 1)  # of logits that are not finite it is the end
    share = log_probs.gather(1, chosen).to(chances.dtype).exp()
    rest = 1 - (cumulated.gather(1, chosen) - passed) / share
    return chosen.squeeze(1), log_probs.gather(1, chosen).squeeze(1), rest.squeeze(1).clamp(0, _BELOW_ONE)


def _restricted(log_probs: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """(R, V) of the `top_k` likeliest tokens, then of the likeliest among these that make up `top_p`; as vLLM does."""
    if 0 < decoding.top_k < log_probs.shape[1]:
        least = log_probs.topk(decoding.top_k, dim=-1).values[:, -1:]
        log_probs = log_probs.masked_fill(log_probs < least, -torch.inf).log_softmax(dim=-1)
    if decoding.top_p < 1:
        falling, order = log_probs.sort(dim=-1, descending=True, stable=True)
        likelier = falling.exp().cumsum(dim=-1) - falling.exp()  # (R, V) probability of all that stand before
        is_outside = torch.zeros_like(falling, dtype=torch.bool).scatter(1, order, likelier >= decoding.top_p)
        log_probs = log_probs.masked_fill(is_outside, -torch.inf).log_softmax(dim=-1)
    return log_probs


def _check_finite(log_probs: torch.Tensor, places: np.ndarray, growing: _Growing) -> None:
    """One logit that is not a number, or is infinite, makes all log-probabilities of its row so."""
    is_finite = torch.isfinite(log_probs)
    if not bool(is_finite.all()):
        row = int(growing.held[~is_finite][0])
        raise FloatingPointError(
            f"the model's logits are not finite after prompt {places[row]} (counted from 0) and {growing.length} new "
            "tokens: float16 overflows where bfloat16 and float32 do not, a learning rate that is too high destroys a "
            "model, and so does a damaged checkpoint; compare with the starting model"
        )
