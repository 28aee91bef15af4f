//! The figures of several rounds.

use std::fmt;

/// The median, the minimum and the maximum of at least one figure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn push(&mut self, figure: f64) {
        let place = self.0.partition_point(|known| *known < figure);
        self.0.insert(place, figure);
    }

    /// A quantile of the figures.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

impl From<Vec<f64>> for Spread {
    fn from(mut figures: Vec<f64>) -> Spread {
        figures.sort_by(f64::total_cmp);
        Spread(figures)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.2} {:>9.2} {:>9.2}", self.median(), self.quantile(0.0), self.quantile(1.0))
    }
}

/// Empty rows with these names.
pub(crate) fn rows<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(String, Spread)> {
    names.into_iter().map(|name| (name.to_owned(), Spread::default())).collect()
}

/// The order of the peers in a round. Each round begins with another one.
pub(crate) fn turns(rounds: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| (0..count).map(move |turn| (turn + round) % count))
}

/// Prints a line for each peer, and the medians relative to that of the last one.
pub(crate) fn table(title: &str, rows: &[(String, Spread)]) {
    println!("\n{title:<44} {:>9} {:>9} {:>9}", "median", "min", "max");
    for (name, spread) in rows {
        println!("  {name:<42} {spread}");
    }
    if let Some(((last, base), others)) = rows.split_last() {
        for (name, spread) in others {
            println!("  {:<42} {:>9.2}", format!("{name} / {last}"), spread.median() / base.median());
        }
    }
}
