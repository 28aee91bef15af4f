//! An Ollama made of nothing: the wire format is true, the speed is set.
