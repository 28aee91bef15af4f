//! The fate of each stream. Both ends derive it from the number of the stream.

/// The records before the last one.
const RECORDS: u64 = 8;
/// The record in which an upstream closes.
pub(crate) const BEGUN: &str = "{\"resp";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// One record per chunk.
    Whole,
    /// One byte per chunk.
    Bytes,
    /// Chunks and writes that end anywhere.
    Split,
    /// Everything in one write.
    Batch,
    /// A body with `Content-Length`.
    Length,
    /// A pause in the middle.
    Stall,
    /// A pause before the head.
    SlowHead,
    /// Lines between the records that are not records.
    Garbage,
    /// A client that reads slowly.
    SlowClient,
    /// An error as the last record.
    Error,
    /// An end without the last record.
    Truncate,
    /// 503.
    Refuse,
    /// The upstream resets the connection.
    Reset,
    /// The upstream closes it in the middle of a chunk.
    Cut,
    /// The upstream closes it before the announced length.
    Short,
    /// An invalid chunk.
    Nonsense,
    /// The upstream resets it instead of sending a head.
    NoHead,
    /// The upstream sends nothing for longer than the timeout.
    Silence,
    /// The client closes in the middle.
    Leave,
    /// The client resets in the middle.
    Abort,
    /// The client closes its half of the connection, which counts as a disconnect.
    HalfClose,
    /// The client closes before the head.
    LeaveEarly,
}

impl Fate {
    const ALL: [Fate; 22] = [
        Fate::Whole,
        Fate::Bytes,
        Fate::Split,
        Fate::Batch,
        Fate::Length,
        Fate::Stall,
        Fate::SlowHead,
        Fate::Garbage,
        Fate::SlowClient,
        Fate::Error,
        Fate::Truncate,
        Fate::Refuse,
        Fate::Reset,
        Fate::Cut,
        Fate::Short,
        Fate::Nonsense,
        Fate::NoHead,
        Fate::Silence,
        Fate::Leave,
        Fate::Abort,
        Fate::HalfClose,
        Fate::LeaveEarly,
    ];

    pub(crate) fn of(stream: u64) -> Fate {
        // Slow fates are rarer.
        match draw(stream, 0) % 40 {
            index @ 0..22 => Fate::ALL[index as usize],
            22..28 => Fate::Whole,
            28..34 => Fate::Split,
            _ => Fate::Batch,
        }
    }

    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Fate::Whole
            | Fate::Bytes
            | Fate::Split
            | Fate::Batch
            | Fate::Length
            | Fate::Stall
            | Fate::SlowHead
            | Fate::Garbage
            | Fate::SlowClient => "complete",
            Fate::Error => "in_band_error",
            Fate::Truncate => "truncated",
            Fate::Refuse
            | Fate::Reset
            | Fate::Cut
            | Fate::Short
            | Fate::Nonsense
            | Fate::NoHead
            | Fate::Silence => "upstream_error",
            Fate::Leave | Fate::Abort | Fate::HalfClose | Fate::LeaveEarly => "client_abort",
        }
    }

    /// Whether the client sees a complete response.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self.outcome(), "complete" | "in_band_error" | "truncated") || self == Fate::Refuse
    }
}

/// A number derived from this stream, the same at both ends (SplitMix64).
pub(crate) fn draw(stream: u64, what: u64) -> u64 {
    let mut z =
        stream.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(what.wrapping_mul(0xD1B5_4A32_D192_ED03))
            ^ 42;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The number of records before the break, if the stream breaks: at least one, and not all.
pub(crate) fn before_break(stream: u64) -> usize {
    1 + draw(stream, 1) as usize % (records(stream).len() - 1).max(1)
}

/// The bytes that the client must receive of a stream that breaks off, if they are the same each time.
pub(crate) fn part(stream: u64) -> Option<String> {
    let records = records(stream);
    match Fate::of(stream) {
        Fate::Cut => Some(records[..before_break(stream)].concat() + BEGUN),
        Fate::Nonsense | Fate::Silence => Some(records[..before_break(stream)].concat()),
        Fate::Short => Some(records.concat()),
        _ => None,
    }
}

/// The records of a stream's response, as they are sent.
pub(crate) fn records(stream: u64) -> Vec<String> {
    let fate = Fate::of(stream);
    if fate == Fate::Refuse {
        return vec!["{\"error\":\"server busy\"}".to_owned()];
    }
    let mut records: Vec<_> = (0..RECORDS)
        .map(|record| {
            let length = draw(stream, 100 + record) as usize % 60;
            format!(
                "{{\"model\":\"m\",\"response\":\"{stream}-{record}{}\",\"done\":false}}\n",
                "é".repeat(length)
            )
        })
        .collect();
    match fate {
        Fate::Garbage => records.insert(3, "\u{1}no record\n".to_owned()),
        Fate::Error => records.push("{\"error\":\"out of memory\"}\n".to_owned()),
        _ => {}
    }
    if !matches!(fate, Fate::Error | Fate::Truncate) {
        records
            .push(format!("{{\"model\":\"m\",\"response\":\"\",\"done\":true,\"eval_count\":{RECORDS}}}\n"));
    }
    records
}
