//! `/v1/responses/compact`: a summary in one piece.

use super::super::frames::{Frames, Template};
use super::super::script::{Part, Script};
use super::super::seed::Seed;
use super::super::stamp::unix_now;
use super::response::{Order, usage};
use super::{Ending, Voice, quoted};

pub(super) struct Compaction {
    id: u64,
}

impl Compaction {
    pub(super) fn new(seed: Seed) -> Self {
        Self { id: seed.at(0) }
    }
}

impl Voice for Compaction {
    fn whole_type(&self) -> &'static str {
        "application/json; charset=utf-8"
    }

    fn template(&self, _part: Part, _first: bool, _script: &Script) -> Template {
        Template::default()
    }

    fn close(&self, _first: bool, ending: &Ending, out: &mut Frames) {
        out.write(&self.whole(ending));
    }

    fn whole(&self, ending: &Ending) -> String {
        let summary = quoted(&ending.content());
        let content =
            format!(r#"{{"type":"ollama_compaction","version":1,"summary":{summary},"retained":[]}}"#);
        let item = format!(r#"{{"type":"compaction","encrypted_content":{}}}"#, quoted(&content));
        Order::Declared.object(vec![
            ("id", format!(r#""resp_compact_{}""#, self.id)),
            ("object", quoted("response.compaction")),
            ("created_at", unix_now().as_secs().to_string()),
            ("output", format!("[{item}]")),
            ("usage", usage(Order::Declared, ending)),
        ])
    }
}
