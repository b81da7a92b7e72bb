"""OllamaSpace: one process that starts Ollama, guards it with keys and streams what it says."""

__version__ = "0.1.0"
