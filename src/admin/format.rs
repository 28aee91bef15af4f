//! Chooses the format of `/metrics` by the field `Accept` of the scraper.

use http::{HeaderMap, header::ACCEPT};

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScrapeFormat {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0, which has exemplars.
    OpenMetrics,
    /// The messages of Prometheus, which have native histograms.
    Protobuf,
}

impl ScrapeFormat {
    /// Returns the format that the scraper prefers (RFC 9110, 12.5.1) of those that are on. A scraper without preference
    /// gets text.
    pub(super) fn of(fields: &HeaderMap, has_openmetrics: bool, has_protobuf: bool) -> ScrapeFormat {
        let values = fields.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut protobuf, mut openmetrics, mut text) = (0.0_f32, 0.0_f32, None::<(u8, f32)>);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |name: &str| {
                let mut all = parameters.iter();
                all.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
            };
            let weight = parameter("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let version = parameter("version").map(|version| version.trim_matches('"'));
            let is = |name: &str| kind.eq_ignore_ascii_case(name);
            if is("application/vnd.google.protobuf") {
                let is_ours = parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && parameter("encoding") == Some("delimited");
                if has_protobuf && is_ours {
                    protobuf = protobuf.max(weight);
                }
                continue;
            }
            if is("application/openmetrics-text") {
                // The two versions are alike for what the sidecar writes.
                if has_openmetrics && version.is_none_or(|version| ["1.0.0", "0.0.1"].contains(&version)) {
                    openmetrics = openmetrics.max(weight);
                }
                continue;
            }
            // The most specific range counts.
            let specific = match () {
                () if is("text/plain") && version.is_none_or(|version| version == "0.0.4") => 2,
                () if is("text/*") => 1,
                () if is("*/*") => 0,
                () => continue,
            };
            if text.is_none_or(|(before, most)| (before, most) < (specific, weight)) {
                text = Some((specific, weight));
            }
        }
        let text = text.map_or(0.0, |(_, weight)| weight);
        if protobuf > 0.0 && protobuf >= openmetrics.max(text) {
            ScrapeFormat::Protobuf
        } else if openmetrics > 0.0 && openmetrics >= text {
            ScrapeFormat::OpenMetrics
        } else {
            ScrapeFormat::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn format_is_that_which_the_scraper_prefers() {
        let chosen = |values: &[&'static str]| {
            let mut fields = HeaderMap::new();
            values.iter().for_each(|value| {
                fields.append(ACCEPT, HeaderValue::from_static(value));
            });
            ScrapeFormat::of(&fields, true, false)
        };
        for accepted in [
            // Prometheus 3.15 and 2.42.
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\" ; Q=0.5, text/plain; q=0.4, text/*",
            "application/openmetrics-text; q=0.5, */*; q=0.5",
        ] {
            assert_eq!(chosen(&[accepted]), ScrapeFormat::OpenMetrics, "{accepted}");
        }
        assert_eq!(chosen(&["text/plain;q=0.2", "application/openmetrics-text"]), ScrapeFormat::OpenMetrics);
        for refused in [
            "",
            "*/*",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.3, text/plain;q=0.4",
            "application/vnd.google.protobuf",
        ] {
            assert_eq!(chosen(&[refused]), ScrapeFormat::Text, "{refused}");
        }
        assert_eq!(chosen(&[]), ScrapeFormat::Text);
    }

    #[test]
    fn protobuf_is_chosen_only_if_it_is_on_and_preferred() {
        // Prometheus 3.15 with native histograms.
        const PROMETHEUS: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let chosen = |accepted: &'static str, openmetrics, protobuf| {
            let fields = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accepted))]);
            ScrapeFormat::of(&fields, openmetrics, protobuf)
        };
        assert_eq!(chosen(PROMETHEUS, true, true), ScrapeFormat::Protobuf);
        assert_eq!(chosen(PROMETHEUS, false, true), ScrapeFormat::Protobuf);
        assert_eq!(chosen(PROMETHEUS, true, false), ScrapeFormat::OpenMetrics);
        assert_eq!(chosen(PROMETHEUS, false, false), ScrapeFormat::Text);
        for other in [
            "*/*",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.3,text/plain;q=0.4",
        ] {
            assert_eq!(chosen(other, true, true), ScrapeFormat::Text, "{other}");
        }
    }
}
