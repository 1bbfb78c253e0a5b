"""How what is served does with real users: online metrics, experiments and guardrails. Nothing is served from here."""
