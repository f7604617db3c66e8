//! Metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0.
//!
//! What is written may come from another process: a name that is none is left out, a label's value is escaped, and what
//! would be said twice is said once.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use pycrust_protocol::reserved::{Exemplar, MetricFamily, MetricKind, MetricSeries, Metrics};

/// A format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.0: with exemplars.
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` header asks for, by its quality; Prometheus' own if it does not say.
    pub fn accepted(accept: &str) -> Self {
        let mut best = (0.0, Self::Prometheus);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Prometheus,
                _ => continue,
            };
            let mut quality = 1.0;
            for parameter in parts {
                match parameter.split_once('=') {
                    Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                    // What comes after 1 may look otherwise.
                    Some(("version", version))
                        if format == Self::OpenMetrics
                            && !version.starts_with("1.")
                            && version != "0.0.1" =>
                    {
                        quality = 0.0;
                    }
                    _ => {}
                }
            }
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    /// The text's type, for HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of the metrics of some workers, each metric's values together.
pub fn exposition(all: &[Metrics], format: Format) -> String {
    let mut families: BTreeMap<&str, Vec<&MetricFamily>> = BTreeMap::new();
    for family in all.iter().flat_map(|metrics| &metrics.families) {
        if is_name(&family.name) {
            families.entry(&family.name).or_default().push(family);
        }
    }
    let mut text = String::new();
    for (name, parts) in families {
        Writer { text: &mut text, name, format }.family(&parts);
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// Writes one metric.
struct Writer<'a> {
    text: &'a mut String,
    name: &'a str,
    format: Format,
}

impl Writer<'_> {
    fn family(&mut self, parts: &[&MetricFamily]) {
        let Some(MetricFamily { kind, help, bounds, .. }) = parts.first() else { return };
        let open = self.format == Format::OpenMetrics;
        let (suffix, kind_name) = match kind {
            MetricKind::Counter => ("_total", "counter"),
            MetricKind::Gauge => ("", "gauge"),
            MetricKind::Histogram => ("", "histogram"),
            MetricKind::Info => ("_info", if open { "info" } else { "gauge" }),
        };
        // OpenMetrics names the metric, Prometheus what stands in front of its values.
        let title = format!("{}{}", self.name, if open { "" } else { suffix });
        self.line(format_args!("# HELP {title} {}\n", Escaped(help, !open)));
        self.line(format_args!("# TYPE {title} {kind_name}\n"));
        if open
            && let Some(unit) =
                ["seconds", "bytes"].into_iter().find(|unit| self.name.ends_with(&format!("_{unit}")))
        {
            self.line(format_args!("# UNIT {title} {unit}\n"));
        }
        let mut said = HashSet::new();
        for part in parts.iter().filter(|part| part.kind == *kind && part.bounds == *bounds) {
            for series in &part.series {
                let labels = labels(&series.labels);
                if !said.insert(labels.clone()) {
                    continue;
                }
                if *kind == MetricKind::Histogram {
                    self.histogram(series, bounds, &labels);
                } else {
                    self.sample(suffix, &labels, &number(series.value));
                }
            }
        }
    }

    fn histogram(&mut self, series: &MetricSeries, bounds: &[f64], labels: &str) {
        if series.counts.len() != bounds.len() + 1 {
            return;
        }
        let mut count = 0_u64;
        for (at, own) in series.counts.iter().enumerate() {
            count = count.saturating_add(*own);
            let bound = bounds.get(at).map_or("+Inf".to_owned(), |bound| number_of_bound(*bound));
            let comma = if labels.is_empty() { "" } else { "," };
            let exemplar = series.exemplars.iter().find(|exemplar| exemplar.bucket as usize == at);
            let exemplar = exemplar.filter(|_| self.format == Format::OpenMetrics).and_then(example);
            let exemplar = exemplar.unwrap_or_default();
            self.sample("_bucket", &format!("{labels}{comma}le=\"{bound}\""), &format!("{count}{exemplar}"));
        }
        self.sample("_count", labels, &count.to_string());
        self.sample("_sum", labels, &number(series.value));
    }

    fn sample(&mut self, suffix: &str, labels: &str, value: &str) {
        let name = self.name;
        if labels.is_empty() {
            self.line(format_args!("{name}{suffix} {value}\n"));
        } else {
            self.line(format_args!("{name}{suffix}{{{labels}}} {value}\n"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(line);
    }
}

/// Labels as they stand between braces.
fn labels(labels: &[(String, String)]) -> String {
    let mut said = HashSet::new();
    let known = labels.iter().filter(|(name, _)| is_name(name) && name != "le" && said.insert(name.as_str()));
    known.map(|(name, value)| format!("{name}=\"{}\"", Escaped(value, false))).collect::<Vec<_>>().join(",")
}

/// What follows a bucket in OpenMetrics.
fn example(exemplar: &Exemplar) -> Option<String> {
    let Exemplar { trace_id, span_id, value, at, .. } = exemplar;
    let is_id = |id: &str, len| id.len() == len && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id(trace_id, 32) && is_id(span_id, 16) && value.is_finite() && at.is_finite())
        .then(|| format!(" # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {} {at:.3}", number(*value)))
}

/// Whether a metric or a label may be called so.
fn is_name(name: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.as_bytes().first().is_some_and(first)
        && name.bytes().all(|byte| first(&byte) || byte.is_ascii_digit())
}

/// A text in which nothing ends the line or, unless `quotes` may stand, the quotes around it.
struct Escaped<'a>(&'a str, bool);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in self.0.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if !self.1 => f.write_str("\\\"")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// A number as both formats read it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        format!("{value}")
    }
}

/// A bound as OpenMetrics wants it: as Go writes numbers, with a point or an exponent of two digits.
fn number_of_bound(value: f64) -> String {
    if value > 0.0 && value < 1e-4 {
        let text = format!("{value:e}");
        match text.split_once("e-") {
            Some((digits, exponent)) if exponent.len() < 2 => format!("{digits}e-0{exponent}"),
            _ => text,
        }
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(kind: MetricKind, name: &str, series: Vec<MetricSeries>) -> MetricFamily {
        MetricFamily {
            name: name.into(),
            kind,
            help: "a \"line\"\nand more".into(),
            bounds: vec![2.5e-6, 1.0],
            series,
        }
    }

    fn series(labels: &[(&str, &str)], value: f64) -> MetricSeries {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        MetricSeries { labels, value, ..MetricSeries::default() }
    }

    #[test]
    fn both_formats_are_written() {
        let exemplar =
            Exemplar { bucket: 1, trace_id: "0a".repeat(16), span_id: "0b".repeat(8), value: 0.5, at: 12.25 };
        let histogram =
            MetricSeries { counts: vec![1, 2, 3], exemplars: vec![exemplar], ..series(&[("a", "b")], 7.5) };
        let metrics = Metrics {
            families: vec![
                family(MetricKind::Histogram, "t_seconds", vec![histogram]),
                family(MetricKind::Counter, "n", vec![series(&[("q", "\"\\\n")], 3.0)]),
                family(MetricKind::Info, "i", vec![series(&[], 1.0)]),
            ],
        };
        let expected = concat!(
            "# HELP i_info a \"line\"\\nand more\n# TYPE i_info gauge\ni_info 1\n",
            "# HELP n_total a \"line\"\\nand more\n# TYPE n_total counter\nn_total{q=\"\\\"\\\\\\n\"} 3\n",
            "# HELP t_seconds a \"line\"\\nand more\n# TYPE t_seconds histogram\n",
            "t_seconds_bucket{a=\"b\",le=\"2.5e-06\"} 1\nt_seconds_bucket{a=\"b\",le=\"1.0\"} 3\n",
            "t_seconds_bucket{a=\"b\",le=\"+Inf\"} 6\nt_seconds_count{a=\"b\"} 6\nt_seconds_sum{a=\"b\"} 7.5\n",
        );
        let all = [metrics];
        assert_eq!(exposition(&all, Format::Prometheus), expected);
        let open = exposition(&all, Format::OpenMetrics);
        assert!(
            open.contains("# TYPE i info\ni_info 1\n") && open.contains("# TYPE n counter\nn_total"),
            "{open}"
        );
        assert!(open.contains("# UNIT t_seconds seconds\n") && open.ends_with("# EOF\n"), "{open}");
        let with = format!(
            "le=\"1.0\"}} 3 # {{trace_id=\"{}\",span_id=\"{}\"}} 0.5 12.250\n",
            "0a".repeat(16),
            "0b".repeat(8)
        );
        assert!(open.contains(&with), "{open}");
    }

    #[test]
    fn what_another_process_says_breaks_no_line() {
        let wrong = Metrics {
            families: vec![
                family(MetricKind::Gauge, "bad name", vec![series(&[], 1.0)]),
                family(MetricKind::Gauge, "", vec![series(&[], 1.0)]),
                family(
                    MetricKind::Gauge,
                    "g",
                    vec![series(&[("le\n", "x"), ("ok", "1"), ("ok", "2")], f64::NAN)],
                ),
                family(MetricKind::Gauge, "g", vec![series(&[("ok", "1")], 2.0)]),
                family(MetricKind::Counter, "g", vec![series(&[("ok", "3")], 2.0)]),
                family(MetricKind::Histogram, "h", vec![series(&[], 1.0)]),
            ],
        };
        let text = exposition(&[wrong], Format::Prometheus);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, ["g{ok=\"1\"} NaN"]);
    }

    #[test]
    fn the_format_is_what_was_asked_for() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Format::Prometheus),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.75",
                Format::OpenMetrics,
            ),
            ("text/plain, application/openmetrics-text;q=0.1", Format::Prometheus),
            ("application/json", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
