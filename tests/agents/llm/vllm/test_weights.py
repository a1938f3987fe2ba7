"""New weights arrive whole, or the check says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine, RolloutEngineError
from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
from mtgrpo_env.agents.llm.serving.options import VLLMOptions
from mtgrpo_env.agents.llm.weight_sync import WeightSyncError, check_agreement

PROMPTS = [(5, 6, 7), tuple(range(5, 75))]
TOLERANCE = 1e-4

MakeSized = Callable[..., PreTrainedModel]
PlainLogProbs = Callable[[PreTrainedModel, Completion, float], torch.Tensor]


@pytest.fixture
def gap(plain_log_probs: PlainLogProbs) -> Callable[[RolloutEngine, PreTrainedModel], float]:
    """Checks an engine against a model."""

    def check(engine: RolloutEngine, model: PreTrainedModel) -> float:
        def log_probs_of(completions: Sequence[Completion]) -> list[list[float]]:
            with torch.no_grad():
                return [plain_log_probs(model, completion, 1.0).tolist() for completion in completions]

        return check_agreement(engine, log_probs_of, PROMPTS, tolerance=TOLERANCE)

    return check


def test_an_engine_generates_with_what_it_was_last_given(
    engine: RolloutEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    for seed in (1, 2, 0):
        model = make_sized(seed=seed)
        with pytest.raises(WeightSyncError, match=r"by up to [\d.]+, expected at most 0\.0001"):
            gap(engine, model)
        engine.load_weights(model.state_dict().items())
        assert gap(engine, model) <= TOLERANCE


def test_a_tied_output_head_that_stays_behind_is_found_and_ours_does_not(
    colocated: VLLMRolloutEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    """VLLM's own reload, without what `serving.worker` adds to it, leaves the old head in place."""
    model = make_sized(seed=3)
    parameters = {"weights_iterator": iter(list(model.named_parameters()))}
    colocated._engine.collective_rpc("reload_weights", kwargs=parameters)
    colocated._engine.reset_prefix_cache()
    with pytest.raises(WeightSyncError, match="differ"):
        gap(colocated, model)
    colocated.load_weights(model.named_parameters())
    assert gap(colocated, model) <= TOLERANCE


def test_keys_of_the_old_weights_are_not_used_again(
    engine: RolloutEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    """The prompt fills two blocks of the prefix cache before the weights change."""
    list(engine.generate(PROMPTS, [1, 1], Decoding(2), [0, 0]))
    model = make_sized(seed=4)
    engine.load_weights(model.named_parameters())
    assert gap(engine, model) <= TOLERANCE


def test_a_sleeping_engine_refuses_to_generate_and_wakes_as_it_was(
    colocated: VLLMRolloutEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    model = make_sized(seed=5)
    colocated.load_weights(model.named_parameters())
    with colocated.generating():
        assert gap(colocated, model) <= TOLERANCE
    with pytest.raises(RolloutEngineError, match=r"sleeps: call wake\(\)"):
        colocated.generate(PROMPTS, [1, 1], Decoding(2), [0, 0])
    colocated.wake()
    assert gap(colocated, model) <= TOLERANCE


def test_weights_that_were_forgotten_must_be_loaded_before_generation(
    colocated: VLLMRolloutEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    colocated.sleep(2)
    colocated.wake()
    with pytest.raises(RolloutEngineError, match="has forgotten its weights: load_weights"):
        colocated.generate(PROMPTS, [1, 1], Decoding(2), [0, 0])
    colocated.sleep(1)
    colocated.wake()
    with pytest.raises(RolloutEngineError, match="has forgotten its weights"):
        colocated.generate(PROMPTS, [1, 1], Decoding(2), [0, 0])
    model = make_sized(seed=6)
    colocated.load_weights(model.named_parameters())
    assert gap(colocated, model) <= TOLERANCE


def test_weights_can_come_while_the_engine_sleeps_and_its_cache_wakes_later(
    colocated: VLLMRolloutEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    colocated.sleep(2)
    model = make_sized(seed=7)
    colocated.load_weights(model.named_parameters())
    with pytest.raises(RolloutEngineError, match="sleeps"):
        colocated.generate(PROMPTS, [1, 1], Decoding(2), [0, 0])
    with colocated.generating():
        assert gap(colocated, model) <= TOLERANCE
    colocated.wake()


def test_an_engine_neither_sleeps_nor_takes_weights_in_the_middle_of_generation(
    colocated: VLLMRolloutEngine, make_sized: MakeSized
) -> None:
    running = colocated.generate(PROMPTS, [20, 20], Decoding(200), [0, 0])
    next(running)
    with pytest.raises(RolloutEngineError, match="cannot sleep while it generates"):
        colocated.sleep(1)
    with pytest.raises(RolloutEngineError, match="cannot take new weights while it generates"):
        colocated.load_weights(make_sized().named_parameters())
    running.close()  # pyright: ignore[reportAttributeAccessIssue]
    colocated.load_weights(make_sized().named_parameters())


def test_a_load_that_breaks_off_leaves_an_engine_that_says_so(options: VLLMOptions, make_sized: MakeSized) -> None:
    engine = VLLMRolloutEngine(options, end_ids=[1])
    with pytest.raises(ConnectionError, match="the source is gone"):
        engine.load_weights(broken_off(make_sized(seed=8)))
    with pytest.raises(RolloutEngineError, match="broke off half-way"):
        engine.generate(PROMPTS, [1, 1], Decoding(2), [0, 0])
    with pytest.raises(RolloutEngineError, match="broke off half-way"):
        engine.load_weights(make_sized().named_parameters())


def test_a_server_hears_nothing_of_a_load_that_breaks_off(
    served: VLLMServerEngine, make_sized: MakeSized, gap: Callable[[RolloutEngine, PreTrainedModel], float]
) -> None:
    model = make_sized(seed=9)
    served.load_weights(model.named_parameters())
    with pytest.raises(ConnectionError, match="the source is gone"):
        served.load_weights(broken_off(make_sized(seed=8)))
    assert gap(served, model) <= TOLERANCE


def broken_off(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Three parameters, and then none."""
    yield from list(model.named_parameters())[:3]
    raise ConnectionError("the source is gone")
