//! Names that mean one model, and names that do not.

use super::{canonical_model, short_model};

/// A name, its short form, and its key.
const NAMES: [(&str, &str, &str); 22] = [
    ("llama3.2", "llama3.2:latest", "llama3.2:latest"),
    ("Llama3.2", "Llama3.2:latest", "llama3.2:latest"),
    ("llama3.2:1B", "llama3.2:1B", "llama3.2:1b"),
    (" llama3.2\n", "llama3.2:latest", "llama3.2:latest"),
    ("library/llama3.2", "llama3.2:latest", "llama3.2:latest"),
    ("registry.ollama.ai/library/llama3.2:1b", "llama3.2:1b", "llama3.2:1b"),
    ("Registry.Ollama.AI/Library/llama3.2", "llama3.2:latest", "llama3.2:latest"),
    ("https://registry.ollama.ai/library/llama3.2", "llama3.2:latest", "llama3.2:latest"),
    ("registry.ollama.ai/me/mine", "me/mine:latest", "me/mine:latest"),
    ("registry.ollama.ai/mine", "registry.ollama.ai/mine:latest", "registry.ollama.ai/mine:latest"),
    ("Me/mine:LATEST", "Me/mine:LATEST", "me/mine:latest"),
    ("host:5000/a/b", "host:5000/a/b:latest", "host:5000/a/b:latest"),
    ("http://host:5000/a/b", "host:5000/a/b:latest", "host:5000/a/b:latest"),
    ("host:5000/library/b:c", "host:5000/library/b:c", "host:5000/library/b:c"),
    ("hf.co/a/B:Q4_K_M", "hf.co/a/B:Q4_K_M", "hf.co/a/b:q4_k_m"),
    ("library/a/b", "library/a/b:latest", "library/a/b:latest"),
    // Ollama refuses these.
    ("library/", "library/:latest", "library/:latest"),
    ("registry.ollama.ai//b", "registry.ollama.ai//b:latest", "registry.ollama.ai//b:latest"),
    ("a://b://c/d/e", "a://b://c/d/e:latest", "a://b://c/d/e:latest"),
    ("https://library/b", "https://library/b:latest", "https://library/b:latest"),
    ("a:", "a:", "a:"),
    ("", ":latest", ":latest"),
];

#[test]
fn names_of_one_model_have_one_key_and_listed_names_keep_their_case() {
    for (name, short, key) in NAMES {
        assert_eq!((short_model(name).as_ref(), canonical_model(name).as_ref()), (short, key), "{name:?}");
        assert_eq!(
            (short_model(short).as_ref(), canonical_model(key).as_ref()),
            (short, key),
            "again: {name:?}"
        );
    }
}
