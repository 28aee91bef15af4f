//! The HTML page is complete, works offline, and is safe to open.

use super::made_up::report;

#[test]
fn report_page_fetches_nothing_and_runs_nothing() {
    let page = report().html();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    for forbidden in
        ["<script", "src=", "href=", "url(", "@import", "<link", "<iframe", "javascript:", "onload"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let addresses: Vec<&str> =
        page.match_indices("http").map(|(at, _)| &page[at..(at + 30).min(page.len())]).collect();
    assert!(addresses.iter().all(|found| found.starts_with("http://www.w3.org/2000/svg")), "{addresses:?}");
}

#[test]
fn report_page_has_every_plot_with_description() {
    let page = report().html();
    for title in [
        "Goodput of load",
        "Durations",
        "Gaps between chunks",
        "Lag of the event loop",
        "Scaling of scale",
        "Conditions against their baselines",
        "Correlations",
        "Lag and chunks over time",
    ] {
        assert!(page.contains(&format!("<strong>{title}</strong>")), "{title}");
        assert!(page.contains(&format!("aria-label=\"{title}.")), "{title}");
    }
    assert_eq!(page.matches("<svg").count(), 8);
    assert_eq!(page.matches("</svg>").count(), 8);
}

#[test]
fn plot_of_goodput_marks_the_knee_and_the_rates_that_held_the_slo() {
    let page = report().html();
    let plot =
        page.split("<strong>Goodput of load</strong>").nth(1).unwrap().split("</figure>").next().unwrap();
    let knee = "The knee is at 1 request/s (certain: the 95 % interval of no other rate reaches it): a higher rate brings \
                fewer good responses.";
    assert!(plot.contains("TTFT ≤ 1 s") && plot.contains(knee), "{plot}");
    for label in ["SLO held", "knee", "goodput", "every request"] {
        assert!(plot.split('>').any(|text| text.trim().starts_with(label)), "{label}: {plot}");
    }
}

#[test]
fn report_page_shows_names_and_problems_as_text() {
    let page = report().html();
    assert!(page.contains("python &lt;b&gt;&amp;"));
    assert!(page.contains("a &lt;script&gt; is not a time"));
    assert!(!page.contains("<b>"));
}
