//! Models and users of a key.

use super::*;

#[test]
fn models_and_users_of_a_key_are_read_and_shown() {
    let text = format!(
        "access.caller_header = {{ name = \"X-User\", keys = [\"a\"] }}\nkey = [{{ name = \"a\", \
         sha256 = \"{SHA256}\", models = [\"M\", \"q:*\"] }}]"
    );
    let shown = right(&file(&text)).to_toml();
    assert!(shown.contains("caller_header = { name = \"x-user\", keys = [\"a\"] }"), "{shown}");
    assert!(shown.contains("models = [\"M\", \"q:*\"]"), "{shown}");
    for (header, said) in [
        ("{ name = \"X-User\", keys = [\"b\"] }", "no key is named \"b\""),
        ("{ name = \"X-User\" }", "the table needs the `name` of a header field and the `keys`"),
        ("{ name = \"a b\", keys = [\"a\"] }", "`name`: \"a b\" is not the name of a header field"),
        (
            "{ name = \"Authorization\", keys = [\"a\"] }",
            "`name`: the header field \"Authorization\" carries",
        ),
    ] {
        let key = format!("key = [{{ name = \"a\", sha256 = \"{SHA256}\" }}]");
        let mistakes = wrong(&file(&format!("access.caller_header = {header}\n{key}")));
        assert!(
            mistakes[0].starts_with(&format!("s.toml:1: `access.caller_header`: {said}")),
            "{mistakes:?}"
        );
    }
    let text = format!("key = [{{ name = \"a\", sha256 = \"{SHA256}\", models = [\"a b\"] }}]");
    assert!(wrong(&file(&text))[0].contains("`key.models`: \"a b\" is not the name of a model"));
}
