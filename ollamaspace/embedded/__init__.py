"""The embedded engine: Ollama's API over llama.cpp, a process of its own, for machines without Ollama.

Started as `python -m ollamaspace.embedded serve`, exactly as Ollama is; it knows nothing of the gateway in front of it
and needs the optional extra `embedded` (the xllamacpp wheel). It serves every GGUF file in one folder.
"""
