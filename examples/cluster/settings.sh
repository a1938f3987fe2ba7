# Qwen2.5-3B on three tasks as in the paper: 32 prompts x 72 rollouts a step, responses of up to 4,096 tokens.
# To be sourced by the scripts beside it, from the root of the repository.
STEPS=720
SETTINGS=(
    --model Qwen/Qwen2.5-3B --suite medium
    --method mt-grpo --reward-coef 0.2
    --steps "$STEPS" --batch-size 32 --group-size 72 --minibatches 4 --lr 1e-6
    --max-new-tokens 4096 --temperature 1.0
    --engine deepspeed --zero-stage 2 --dtype bfloat16 --activation-checkpointing
    --rollouts vllm --vllm-memory 0.4
    --importance token --importance-cap 2.0
    --eval-problems 100 --eval-every 20 --checkpoint-every 20
)
