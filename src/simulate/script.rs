//! What an answer will say: its parts, its tokens, why it ends.

use super::seed::Seed;

/// Words with the leading space of a token. Nothing here needs escaping in JSON.
const WORDS: [&str; 64] = [
    " the",
    " of",
    " a",
    " to",
    " in",
    " is",
    " that",
    " it",
    " for",
    " on",
    " with",
    " as",
    " at",
    " by",
    " this",
    " from",
    " stream",
    " token",
    " model",
    " answer",
    " queue",
    " slot",
    " wait",
    " time",
    " rate",
    " first",
    " last",
    " one",
    " two",
    " many",
    " each",
    " every",
    " measure",
    " gauge",
    " river",
    " water",
    " level",
    " rises",
    " falls",
    " slowly",
    " quickly",
    " again",
    " before",
    " after",
    " between",
    " because",
    " although",
    " therefore",
    " light",
    " sound",
    " small",
    " large",
    " even",
    " odd",
    " quiet",
    " steady",
    " flow",
    " bridge",
    " stone",
    " north",
    ",",
    ".",
    " and",
    " or",
];

/// A part of an answer. Each of its tokens is one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Thinking,
    Content,
    ToolCall,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Stop,
    Length,
    ToolCall,
}

/// The plan of one answer: thinking, then content, then at most one tool call.
#[derive(Clone, Debug)]
pub(super) struct Script {
    words: Seed,
    thinking: u32,
    tokens: u32,
    tool: Option<String>,
    cut_short: bool,
}

impl Script {
    /// An answer of `tokens` tokens, or of `limit` where that is less.
    pub(super) fn new(
        words: Seed,
        tokens: u32,
        limit: Option<u32>,
        think: bool,
        tool: Option<String>,
    ) -> Self {
        let cut_short = limit.is_some_and(|limit| limit < tokens);
        let tokens = limit.unwrap_or(tokens).min(tokens).max(1);
        let thinking = if think { tokens / 4 } else { 0 };
        Self { words, thinking, tokens, tool, cut_short }
    }

    /// Tokens in all.
    pub(super) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// The tool that is called, if one is.
    pub(super) fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// The arguments it is called with.
    pub(super) fn arguments(&self) -> &'static str {
        r#"{"query":"river level"}"#
    }

    /// Part of the answer that token `index` belongs to.
    pub(super) fn part(&self, index: u32) -> Part {
        if index < self.thinking {
            Part::Thinking
        } else if self.tool.is_some() && index + 1 == self.tokens {
            Part::ToolCall
        } else {
            Part::Content
        }
    }

    /// Token `index`. The first of a part has no leading space.
    pub(super) fn word(&self, index: u32) -> &'static str {
        let word = WORDS[(self.words.at(u64::from(index)) % WORDS.len() as u64) as usize];
        match self.part(index) {
            Part::ToolCall => "",
            _ if index == 0 || index == self.thinking => word.trim_start(),
            _ => word,
        }
    }

    /// The whole text of a part.
    pub(super) fn text(&self, part: Part) -> String {
        (0..self.tokens).filter(|index| self.part(*index) == part).map(|index| self.word(index)).collect()
    }

    /// Why it ends.
    pub(super) fn reason(&self) -> Reason {
        match (&self.tool, self.cut_short) {
            (Some(_), _) => Reason::ToolCall,
            (None, true) => Reason::Length,
            (None, false) => Reason::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Reason, Script, Seed};

    #[test]
    fn parts_follow_each_other_and_their_texts_are_the_words() {
        let script = Script::new(Seed::new(1), 8, None, true, Some("look".into()));
        let parts: Vec<_> = (0..8).map(|index| script.part(index)).collect();
        assert_eq!(parts[..2], [Part::Thinking; 2]);
        assert_eq!(parts[2..7], [Part::Content; 5]);
        assert_eq!(parts[7], Part::ToolCall);
        assert_eq!(script.text(Part::ToolCall), "");
        assert!(!script.text(Part::Content).starts_with(' '));
        assert_eq!(script.reason(), Reason::ToolCall);
    }

    #[test]
    fn a_limit_below_the_length_cuts_short() {
        let script = Script::new(Seed::new(1), 8, Some(3), false, None);
        assert_eq!((script.tokens(), script.reason()), (3, Reason::Length));
        let script = Script::new(Seed::new(1), 8, Some(8), false, None);
        assert_eq!((script.tokens(), script.reason()), (8, Reason::Stop));
    }
}
