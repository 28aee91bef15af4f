//! Names of models, read and compared as Ollama's `types/model` does.

/// A name, with the parts that it left out filled in.
#[derive(Clone, Copy, Debug)]
struct Name<'a> {
    host: &'a str,
    namespace: &'a str,
    model: &'a str,
    tag: &'a str,
}

const HOST: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";
const TAG: &str = "latest";

/// The name as `/api/tags` lists it.
pub(super) fn listed(name: &str) -> String {
    let Name { host, namespace, model, tag } = Name::parse(name);
    if !host.eq_ignore_ascii_case(HOST) {
        format!("{host}/{namespace}/{model}:{tag}")
    } else if !namespace.eq_ignore_ascii_case(NAMESPACE) {
        format!("{namespace}/{model}:{tag}")
    } else {
        format!("{model}:{tag}")
    }
}

/// Whether both names are valid and mean the same model.
pub(super) fn same(one: &str, other: &str) -> bool {
    let (one, other) = (Name::parse(one), Name::parse(other));
    one.is_valid()
        && one.parts().iter().zip(other.parts()).all(|(one, other)| one.eq_ignore_ascii_case(other))
}

impl<'a> Name<'a> {
    fn parse(text: &'a str) -> Self {
        let mut rest = text.trim();
        let mut tag = TAG;
        if rest.rfind(':') > rest.rfind('/')
            && let Some((before, after)) = rest.rsplit_once(':')
        {
            (rest, tag) = (before, after);
        }
        let Some((before, model)) = rest.rsplit_once('/') else {
            return Name { host: HOST, namespace: NAMESPACE, model: rest, tag };
        };
        let Some((before, namespace)) = before.rsplit_once('/') else {
            return Name { host: HOST, namespace: before, model, tag };
        };
        let host = before.split_once("://").map_or(before, |(_scheme, host)| host);
        Name { host, namespace, model, tag }
    }

    const fn parts(&self) -> [&'a str; 4] {
        [self.host, self.namespace, self.model, self.tag]
    }

    fn is_valid(&self) -> bool {
        self.parts().into_iter().zip([350, 80, 80, 80]).enumerate().all(|(part, (text, longest))| {
            let begins_well = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let fits = |c: char| match c {
                '.' => part != 1,
                ':' => part == 0,
                _ => begins_well(c) || c == '-',
            };
            text.len() <= longest && text.starts_with(begins_well) && text.chars().all(fits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_other_case_or_default_parts_means_same_model() {
        for other in [
            "sim",
            "SIM:latest",
            "sim:LATEST",
            "library/Sim",
            "Registry.Ollama.ai/Library/sIm",
            "https://registry.ollama.ai/library/sim:latest",
            " sim\n",
        ] {
            assert!(same("sim:latest", other), "{other}");
            assert!(listed(other).eq_ignore_ascii_case("sim:latest"), "{other}");
        }
        for other in ["sim:1b", "me/sim", "registry.ollama.ai/sim", "host/library/sim", "sim/", "/sim", ""] {
            assert!(!same("sim:latest", other), "{other}");
        }
        assert_eq!(listed("hf.co/Ada/Llama:Q4"), "hf.co/Ada/Llama:Q4");
        assert!(!same("sim x", "sim x") && !same("-sim", "-sim"), "no such name is allowed");
    }
}
