//! Numbers of concurrent streams, grouped into the bands of the label `streams`.

/// The values of the label `streams`: the number of streams that decode at once.
pub const BANDS: [&str; 8] = ["1", "2", "3", "4", "5-8", "9-16", "17-32", "33+"];

/// One value for each of [`BANDS`], in their order.
pub type ByBand<T> = [T; BANDS.len()];

/// Returns the index in [`BANDS`] of a number of streams, which is at least one.
pub(crate) const fn band(streams: usize) -> usize {
    match streams {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 3,
        5..=8 => 4,
        9..=16 => 5,
        17..=32 => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_streams_is_in_the_band_that_names_it() {
        for streams in 1..=40 {
            let name = BANDS[band(streams)];
            let (least, most) = match (name.strip_suffix('+'), name.split_once('-')) {
                (Some(least), _) => (least, "1000"),
                (None, Some(ends)) => ends,
                (None, None) => (name, name),
            };
            let (least, most): (usize, usize) = (least.parse().unwrap(), most.parse().unwrap());
            assert!((least..=most).contains(&streams), "{streams} is not in {name}");
        }
    }
}
