//! A model with the tokenizer of the real one and few of its layers: fast, and cut in the same way.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use crate::{answer::post, ollama::Ollama, process::cache};

/// The layers that remain.
const LAYERS: u32 = 1;
const MODEL: &str = "shallow";
/// The first tensor of the file. Those of the layers follow in their order.
const FIRST: &[u8] = b"\x12\0\0\0\0\0\0\0output_norm.weight";
const COUNT: &[u8] = b"gemma3.block_count\x04\0\0\0";
/// The bytes between the starts of two tensors are a multiple of it.
const ALIGNMENT: usize = 32;

/// Creates [`MODEL`], with its file in `folder`.
pub(super) fn create(ollama: &Ollama, folder: &Path) {
    let show = post(&ollama.url, "/api/show", &json!({"model": "gemma3:270m"})).json();
    let manifest = cache("models/manifests/registry.ollama.ai/library/gemma3/270m");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let layer = layers.iter().find(|layer| layer["mediaType"] == "application/vnd.ollama.image.model");
    let digest = layer.unwrap()["digest"].as_str().unwrap().replace(':', "-");
    let file = fs::read(cache("models/blobs").join(digest)).unwrap();
    fs::write(folder.join("model.gguf"), shallow(&file)).unwrap();
    let template = show["template"].as_str().unwrap();
    fs::write(folder.join("Modelfile"), format!("FROM ./model.gguf\nTEMPLATE \"\"\"{template}\"\"\"\n"))
        .unwrap();
    let mut command = Command::new(ollama.version.program());
    command.args(["create", MODEL, "--file", "Modelfile"]).current_dir(folder);
    command.env("HOME", folder).env("OLLAMA_HOST", &ollama.url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Creates a model with this context from [`MODEL`], loads it, and returns its name.
pub(super) fn with_context(ollama: &Ollama, context: u64) -> String {
    let model = format!("{MODEL}-{context}");
    // One thread, since several would wait for one another, which is very slow on a busy machine.
    let parameters = json!({"num_thread": 1, "num_ctx": context, "seed": 1, "temperature": 0});
    let create = json!({"model": model, "from": MODEL, "parameters": parameters, "stream": false});
    assert_eq!(post(&ollama.url, "/api/create", &create).json()["status"], "success");
    assert_eq!(post(&ollama.url, "/api/generate", &json!({"model": model})).status, 200);
    model
}

/// A GGUF file with the first [`LAYERS`] layers.
fn shallow(file: &[u8]) -> Vec<u8> {
    let find = |what: &[u8]| file.windows(what.len()).position(|bytes| bytes == what).unwrap();
    let count = find(COUNT) + COUNT.len();
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let (mut at, mut kept) = (find(FIRST), None);
    let dropped = format!("blk.{LAYERS}.");
    for tensor in 0..number(8) {
        let name = at + 8..at + 8 + number(at) as usize;
        let dimensions = u32::from_le_bytes(file[name.end..name.end + 4].try_into().unwrap()) as usize;
        // The dimensions, the type, and the offset.
        let end = name.end + 4 + 8 * dimensions + 4 + 8;
        if kept.is_none() && file[name].starts_with(dropped.as_bytes()) {
            kept = Some((tensor, at, number(end - 8) as usize));
        }
        at = end;
    }
    let (tensors, end, length) = kept.expect("the model has more layers");
    let mut short = file[..end].to_vec();
    short[8..16].copy_from_slice(&tensors.to_le_bytes());
    short[count..count + 4].copy_from_slice(&LAYERS.to_le_bytes());
    short.resize(end.next_multiple_of(ALIGNMENT), 0);
    let data = at.next_multiple_of(ALIGNMENT);
    short.extend(&file[data..data + length]);
    short
}
