"""Behind `rollout_vllm` and `rollout_vllm_server`: what vLLM is started with, asked, and given."""
