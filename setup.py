"""Packaging: the top-level folders `agents` and `envs` are installed below `mtgrpo_env`."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
CLI = ["tyro>=0.9", "rich>=13", "pyyaml>=6"]
ROWS = ["pyarrow>=18"]
HUB = ["datasets>=4.0", *ROWS]
PLOT = ["matplotlib>=3.8"]
# What vLLM 0.32 and 0.33 allow, and the newest without it; how far each was tried: docs/install.md.
MODELS = ["torch>=2.13,<2.15", "transformers>=5.16.1,<5.24"]
TRAIN = [*MODELS, "numpy>=2.1", "tensorboard>=2.20", *PLOT, *CLI, *ROWS]
MATH = ["sympy>=1.12"]
ENDPOINTS = ["openai>=2.0", *PLOT]  # with the report's figure
REASONING_GYM = ["reasoning-gym>=0.1.25", *MATH]
SERVING = ["fastapi>=0.115", "uvicorn>=0.30"]  # what `transformers serve` wants besides
LORA = ["peft>=0.18"]
DEEPSPEED = ["deepspeed>=0.19.8,<0.20", "accelerate>=1.8", *LORA]  # transformers loads ZeRO-3 by accelerate
WANDB, TRACKIO, MLFLOW = ["wandb>=0.31"], ["trackio>=0.43"], ["mlflow>=3.17"]
TRL = ["trl>=1.16,<1.17"]  # brings datasets and accelerate; the trainer overrides what this series calls private
GPU = ["vllm>=0.32,<0.34", *DEEPSPEED]
DOCS = ["mkdocs-material>=9.6", "mkdocstrings[python]>=0.30"]
VERIFIERS = ["verifiers>=0.4,<0.5"]  # its interface changed altogether from 0.1 to 0.4
LM_EVAL = ["lm_eval>=0.4.13,<0.5"]
INSPECT = ["inspect-ai>=0.3.285,<0.4"]
DEV = [
    *DOCS,
    "build>=1.2",
    "hypothesis>=6.100",
    "import-linter>=2.17",
    "ipykernel>=6.29",  # with nbclient: the notebook is run by the tests
    "nbclient>=0.10",
    "pre-commit>=3.7",
    "pyright>=1.1.400",
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "ruff>=0.11",
]

TEST_VLLM = [*LORA, "hypothesis>=6.100", "psutil>=5.9", "pytest>=8", "pytest-timeout>=2.3"]

# The repository links mtgrpo_env/agents and mtgrpo_env/envs to the folders at its top, so one walk
# through the package finds everything, and wheels contain plain folders.
setup(
    name="mtgrpo-env",
    version="0.1.0",
    description="Multi-Task GRPO: reasoning tasks as Gymnasium envs, and an agent that leaves no task behind",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["mtgrpo_env", "mtgrpo_env.*"]),
    package_data={"mtgrpo_env": ["py.typed"]},
    install_requires=["numpy>=1.26", "gymnasium>=1.1"],
    extras_require={
        "rows": ROWS,
        "hub": HUB,
        "plot": PLOT,
        "cli": [*CLI, *ROWS],
        "endpoints": [*CLI, *ENDPOINTS, *ROWS],
        "train": TRAIN,
        "math": MATH,
        "reasoning-gym": REASONING_GYM,
        "verifiers": VERIFIERS,
        "lm-eval": LM_EVAL,
        "inspect": INSPECT,
        "lora": LORA,
        "wandb": WANDB,
        "trackio": TRACKIO,
        "mlflow": MLFLOW,
        "trackers": [*WANDB, *TRACKIO, *MLFLOW],
        "deepspeed": [*TRAIN, *DEEPSPEED],
        "gpu": [*TRAIN, *GPU],
        "trl": [*TRAIN, *TRL],
        "test-vllm": [*TRAIN, *TEST_VLLM],
        "docs": DOCS,
        "dev": [*TRAIN, *MATH, *ENDPOINTS, *SERVING, *DEEPSPEED, *TRL, *DEV],
    },
    entry_points={"console_scripts": ["mtgrpo=mtgrpo_env.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
