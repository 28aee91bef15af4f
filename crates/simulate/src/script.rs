//! The course of an answer: its parts, its tokens, and the reason for its end.

use super::seed::Seed;

/// Words with the leading space of a token. None needs escaping in JSON.
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

/// A part of an answer. A token of thinking or content is one record. The tokens of a tool call are not sent until
/// the call is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Thinking,
    Content,
    ToolCall,
}

/// The reason for the end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Stop,
    Length,
}

/// The plan of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Tokens of the whole answer.
    pub(super) tokens: u32,
    /// The maximum number of tokens that the request allows.
    pub(super) limit: Option<u32>,
    pub(super) think: bool,
    /// The tools to call.
    pub(super) tools: Vec<String>,
    /// Tokens of text before the first call.
    pub(super) tool_text: u32,
    /// Whether the token at the limit is counted but not sent. 0.12 does this, because it ends the answer before it
    /// reads that token. (It is a race there: on a busy machine, 0.12 sent that token in some runs.)
    pub(super) withholds_last: bool,
}

/// The course of one answer: thinking, then content, then tool calls.
#[derive(Clone, Debug)]
pub(super) struct Script {
    words: Seed,
    thinking: u32,
    /// The token at which the content ends and the calls begin.
    calls_from: u32,
    /// Tokens of the answer if no limit cuts it.
    full: u32,
    tokens: u32,
    /// The number of `tokens` that are sent as records of their own.
    told: u32,
    tools: Vec<String>,
}

impl Script {
    /// Creates an answer from its plan, cut at its limit. Thinking takes a quarter of the tokens, and each call at
    /// least one.
    pub(super) fn new(words: Seed, plan: Plan) -> Self {
        let full = plan.tokens.max(1);
        let tokens = plan.limit.unwrap_or(full).clamp(1, full);
        let thinking = if plan.think { full / 4 } else { 0 };
        let mut tools = plan.tools;
        let room = full - thinking;
        tools.truncate(room as usize);
        let calls = tools.len() as u32;
        let calls_from = if calls == 0 { full } else { thinking + plan.tool_text.min(room - calls) };
        let told = if plan.withholds_last && tokens < full { tokens - 1 } else { tokens };
        Self { words, thinking, calls_from, full, tokens, told, tools }
    }

    /// Returns the number of all tokens.
    pub(super) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Returns the number of tokens that are sent. They are the first ones.
    pub(super) fn told(&self) -> u32 {
        self.told
    }

    /// The names of the tools whose calls are complete by the end.
    pub(super) fn calls(&self) -> &[String] {
        let complete = (0..self.tools.len()).take_while(|call| self.last_of(*call) < self.told).count();
        &self.tools[..complete]
    }

    /// Returns the call that token `index` completes.
    pub(super) fn call_at(&self, index: u32) -> Option<usize> {
        (0..self.tools.len()).find(|call| self.last_of(*call) == index)
    }

    /// Returns the last token of a call. The calls share the remaining tokens equally.
    fn last_of(&self, call: usize) -> u32 {
        let (room, calls) = (u64::from(self.full - self.calls_from), self.tools.len() as u64);
        self.calls_from + (room * (call as u64 + 1) / calls) as u32 - 1
    }

    /// Returns the text of a call that was cut by the limit.
    pub(super) fn cut_call(&self) -> Option<String> {
        let cut = self.tools.get(self.calls().len())?;
        let begun = self.told > self.calls_from && self.call_at(self.told - 1).is_none();
        begun.then(|| format!(r#"{{"name":"{cut}","arguments":{{"#))
    }

    /// Returns the arguments of a tool call.
    pub(super) fn arguments(&self) -> &'static str {
        r#"{"query":"river level"}"#
    }

    /// Returns the tokens of thinking, within the answer.
    pub(super) fn thinking(&self) -> u32 {
        self.thinking.min(self.tokens)
    }

    /// Returns the part of the answer to which token `index` belongs.
    pub(super) fn part(&self, index: u32) -> Part {
        if index < self.thinking {
            Part::Thinking
        } else if index < self.calls_from {
            Part::Content
        } else {
            Part::ToolCall
        }
    }

    /// Returns token `index`. The first token of a part has no leading space.
    pub(super) fn word(&self, index: u32) -> &'static str {
        let word = WORDS[(self.words.at(u64::from(index)) % WORDS.len() as u64) as usize];
        match self.part(index) {
            Part::ToolCall => "",
            _ if index == 0 || index == self.thinking => word.trim_start(),
            _ => word,
        }
    }

    /// Returns the whole text of a part.
    pub(super) fn text(&self, part: Part) -> String {
        (0..self.told).filter(|index| self.part(*index) == part).map(|index| self.word(index)).collect()
    }

    /// Returns the reason for the end.
    pub(super) fn reason(&self) -> Reason {
        if self.tokens < self.full { Reason::Length } else { Reason::Stop }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Plan, Reason, Script, Seed};

    fn script(plan: Plan) -> Script {
        Script::new(Seed::new(1), Plan { tokens: 8, ..plan })
    }

    #[test]
    fn script_parts_follow_each_other_and_their_texts_are_the_words() {
        let script =
            script(Plan { think: true, tools: vec!["look".into()], tool_text: 3, ..Plan::default() });
        let parts: Vec<_> = (0..8).map(|index| script.part(index)).collect();
        assert_eq!(parts[..2], [Part::Thinking; 2]);
        assert_eq!(parts[2..5], [Part::Content; 3]);
        assert_eq!(parts[5..], [Part::ToolCall; 3]);
        assert_eq!(
            (script.text(Part::ToolCall).as_str(), script.call_at(6), script.call_at(7)),
            ("", None, Some(0))
        );
        assert!(!script.text(Part::Content).starts_with(' '));
        assert_eq!((script.calls(), script.reason()), (&["look".to_owned()][..], Reason::Stop));
    }

    #[test]
    fn script_with_several_calls_ends_each_at_its_own_token() {
        let tools: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let all = script(Plan { tools: tools.clone(), tool_text: 100, ..Plan::default() });
        assert_eq!((5..8).map(|index| all.call_at(index)).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
        let cut = script(Plan { tools, limit: Some(5), ..Plan::default() });
        assert_eq!((cut.calls().len(), cut.reason()), (2, Reason::Length));
        assert_eq!(cut.cut_call(), None, "the limit is between two calls");
        let many = script(Plan { tools: vec!["x".into(); 20], ..Plan::default() });
        assert_eq!(many.calls().len(), 8);
    }

    #[test]
    fn script_with_lower_token_limit_is_cut_short() {
        let cut = script(Plan { limit: Some(3), ..Plan::default() });
        assert_eq!((cut.tokens(), cut.reason()), (3, Reason::Length));
        let whole = script(Plan { limit: Some(8), ..Plan::default() });
        assert_eq!((whole.tokens(), whole.reason()), (8, Reason::Stop));
        let older = script(Plan { limit: Some(3), withholds_last: true, ..Plan::default() });
        assert_eq!((older.tokens(), older.told(), older.reason()), (3, 2, Reason::Length));
        assert!(cut.text(Part::Content).starts_with(&older.text(Part::Content)));
        assert_eq!(script(Plan { withholds_last: true, ..Plan::default() }).told(), 8);
        let call = script(Plan { limit: Some(3), tools: vec!["look".into()], ..Plan::default() });
        assert!(call.calls().is_empty());
        assert_eq!(call.cut_call().unwrap(), r#"{"name":"look","arguments":{"#);
    }
}
