"""Models behind an endpoint, as policies: any server that speaks OpenAI's protocol."""
