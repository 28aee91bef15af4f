//! Names that mean the same model, and names that do not.

use super::{canonical_model, is_cloud_model, short_model};

/// A name, its short form, and its key.
const NAMES: [(&str, &str, &str); 34] = [
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
    ("Gemma3:270M:Local", "Gemma3:270M", "gemma3:270m"),
    ("gemma3:local", "gemma3:latest", "gemma3:latest"),
    ("library/gemma3:270m: local ", "gemma3:270m", "gemma3:270m"),
    ("host:5000/a/b:local", "host:5000/a/b:latest", "host:5000/a/b:latest"),
    ("Gpt-oss:cloud", "Gpt-oss:cloud", "gpt-oss:cloud"),
    ("gpt-oss:CLOUD", "gpt-oss:cloud", "gpt-oss:cloud"),
    ("gpt-oss:120b-cloud", "gpt-oss:120b-cloud", "gpt-oss:120b-cloud"),
    ("library/gpt-oss:120b:cloud", "gpt-oss:120b-cloud", "gpt-oss:120b-cloud"),
    ("gpt-oss:120B-Cloud", "gpt-oss:120B-cloud", "gpt-oss:120b-cloud"),
    ("host:5000/a/b:cloud", "host:5000/a/b:cloud", "host:5000/a/b:cloud"),
    ("my-cloud", "my-cloud:latest", "my-cloud:latest"),
    // Ollama refuses these.
    ("a:cloud:local", "a:cloud:local", "a:cloud:local"),
    ("library/", "library/:latest", "library/:latest"),
    ("registry.ollama.ai//b", "registry.ollama.ai//b:latest", "registry.ollama.ai//b:latest"),
    ("a://b://c/d/e", "a://b://c/d/e:latest", "a://b://c/d/e:latest"),
    ("https://library/b", "https://library/b:latest", "https://library/b:latest"),
    ("a:", "a:", "a:"),
    ("", ":latest", ":latest"),
];

#[test]
fn model_name_spellings_have_one_key_and_listed_names_keep_their_case() {
    for (name, short, key) in NAMES {
        assert_eq!((short_model(name).as_ref(), canonical_model(name).as_ref()), (short, key), "{name:?}");
        assert_eq!(
            (short_model(short).as_ref(), canonical_model(key).as_ref()),
            (short, key),
            "again: {name:?}"
        );
    }
}

#[test]
fn cloud_model_is_recognized_by_its_suffix() {
    for (name, is_cloud) in [
        ("gpt-oss:cloud", true),
        ("gpt-oss:120b:cloud", true),
        ("gpt-oss:120b-cloud", true),
        ("GPT-OSS:120B-CLOUD", true),
        (" gpt-oss: cloud ", true),
        ("registry.ollama.ai/library/gpt-oss:120b-cloud", true),
        ("host:5000/a/b:cloud", true),
        ("gpt-oss:120b", false),
        ("gpt-oss:120b:local", false),
        ("gpt-oss", false),
        ("gpt-oss-cloud", false),
        ("cloud", false),
        ("gpt-oss:cloudy", false),
        ("gpt-oss:120bcloud", false),
        ("host:5000/a/b-cloud", false),
        ("a:cloud:local", false),
        ("a:local:cloud", false),
        ("a:b-cloud:cloud", false),
        ("a:\u{e9}\u{e9}cloud", false),
        ("", false),
    ] {
        assert_eq!(is_cloud_model(name), is_cloud, "{name:?}");
        assert_eq!(is_cloud_model(&canonical_model(name)), is_cloud, "by its key: {name:?}");
    }
}
