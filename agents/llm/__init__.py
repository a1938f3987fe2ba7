"""Language models as policies: transformers models, rollout engines and train engines."""
