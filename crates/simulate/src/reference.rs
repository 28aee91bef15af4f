//! The name of a model in a request, and the place in which the name says it runs.

use super::reply::Refusal;
use super::version::OllamaVersion;

/// A model as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelRef {
    /// The name without `:local`, `:cloud` or `-cloud`.
    pub(super) base: String,
    pub(super) source: Source,
}

/// The place in which a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Unspecified,
    Local,
    Cloud,
}

impl ModelRef {
    /// Reads a name as the version does. 0.12 treats every name as a local one.
    pub(super) fn read(version: OllamaVersion, name: &str) -> Result<Self, Refusal> {
        let name = name.trim();
        if !version.runs_llama_server() {
            return Ok(Self { base: name.to_owned(), source: Source::Unspecified });
        }
        let Some((base, source)) = split(name) else {
            return Ok(Self { base: name.to_owned(), source: Source::Unspecified });
        };
        if split(&base).is_some() {
            return Err(Refusal::bad(format!("use either :local or :cloud, not both: {name:?}")));
        }
        Ok(Self { base, source })
    }
}

/// Splits off the suffix that names the place.
fn split(name: &str) -> Option<(String, Source)> {
    let (base, suffix) = name.rsplit_once(':')?;
    let suffix = suffix.trim();
    match suffix.to_ascii_lowercase().as_str() {
        "cloud" => Some((base.to_owned(), Source::Cloud)),
        "local" => Some((base.to_owned(), Source::Local)),
        lower if lower.ends_with("-cloud") && !lower.contains('/') => {
            let tag = &suffix[..suffix.len() - "-cloud".len()];
            Some((format!("{base}:{tag}"), Source::Cloud))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelRef, OllamaVersion, Source};

    #[test]
    fn model_suffix_selects_cloud_or_local_since_0_30() {
        let read = |name: &str| {
            let reference = ModelRef::read(OllamaVersion::V0_33, name).unwrap();
            (reference.base, reference.source)
        };
        for (name, base, source) in [
            ("sim", "sim", Source::Unspecified),
            ("sim:7b", "sim:7b", Source::Unspecified),
            ("sim:local", "sim", Source::Local),
            ("sim:7b:LOCAL", "sim:7b", Source::Local),
            ("sim:cloud", "sim", Source::Cloud),
            ("sim:7b:cloud", "sim:7b", Source::Cloud),
            ("sim:7b-Cloud", "sim:7b", Source::Cloud),
            ("sim-cloud", "sim-cloud", Source::Unspecified),
            ("host:80/a-cloud", "host:80/a-cloud", Source::Unspecified),
        ] {
            assert_eq!(read(name), (base.to_owned(), source), "{name}");
        }
        assert!(ModelRef::read(OllamaVersion::V0_34, "sim:local:cloud").is_err());
        let old = ModelRef::read(OllamaVersion::V0_12, "sim:cloud").unwrap();
        assert_eq!((old.base.as_str(), old.source), ("sim:cloud", Source::Unspecified));
    }
}
