//! The plots of a model's last hour, as SVG.
//!
//! They contain numbers only, no text of a model or a caller. Colours are those of a light page;
//! the page's style sheet replaces each of them in its own colours. A line of each kind has a width
//! of its own, so that colour is not the only difference.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::telemetry::{MINUTES, Percentiles, Publication, RequestSummary};

/// Height of a plot in CSS pixels.
const HEIGHT: u32 = 220;

/// Size of the numbers, in CSS pixels.
const TEXT: u32 = 12;

const P50: RGBColor = RGBColor(0, 114, 178);
const P95: RGBColor = RGBColor(0, 158, 115);
const P99: RGBColor = RGBColor(213, 94, 0);
const ANSWERED: RGBColor = P50;
const FAILED: RGBColor = RGBColor(200, 30, 30);
const PUBLISHED: RGBColor = RGBColor(136, 68, 170);
const GRID: RGBColor = RGBColor(221, 221, 221);

/// The bounds of an axis of milliseconds without data, which show where it will be.
const EMPTY_LATENCIES: Range<f64> = 0.1..100.0;

type Plot<'p> = DrawingArea<SVGBackend<'p>, Shift>;
type Outcome<T> = Result<T, Box<dyn Error>>;

/// The numbers of the plots.
pub(super) struct Plots<'h> {
    /// Minutes with requests, oldest first.
    pub(super) minutes: &'h [RequestSummary],
    pub(super) publications: &'h [Publication],
    /// Width in CSS pixels.
    pub(super) width: u32,
}

impl Plots<'_> {
    /// Draws the percentiles of the latency, in milliseconds on a logarithmic axis.
    pub(super) fn latency(&self) -> Outcome<String> {
        let range = self.latency_range();
        let series = [(P50, 3), (P95, 2), (P99, 1)];
        let of = |percentiles: Percentiles| [percentiles.p50, percentiles.p95, percentiles.p99];

        let lines = (0..).zip(series).map(|(index, (colour, width)): (usize, _)| {
            let value = move |minute: &RequestSummary| {
                Some(millis(of(minute.latency?).into_iter().nth(index)?))
            };
            (colour.stroke_width(width), self.points(value))
        });

        self.draw(range.clone().log_scale(), range, &milliseconds_text, lines.collect())
    }

    /// Draws the requests of each minute, answered and failed ones.
    pub(super) fn requests(&self) -> Outcome<String> {
        let most = self.minutes.iter().map(|minute| minute.answered.max(minute.failed)).max();
        let range = 0.0..(most.unwrap_or(0).max(4) as f64 * 1.1);

        let answered = self.points(|minute| Some(minute.answered as f64));
        let failed = self.points(|minute| Some(minute.failed as f64));
        let lines = vec![(ANSWERED.stroke_width(3), answered), (FAILED.stroke_width(1), failed)];

        self.draw(range.clone(), range, &count_text, lines)
    }

    /// Returns the points of a line, by minutes before now. Minutes without requests have none.
    fn points(&self, value: impl Fn(&RequestSummary) -> Option<f64>) -> Vec<(f64, f64)> {
        let point = |minute: &RequestSummary| Some((-(minute.minutes_ago as f64), value(minute)?));
        self.minutes.iter().filter_map(point).collect()
    }

    fn latency_range(&self) -> Range<f64> {
        let latencies = || self.minutes.iter().filter_map(|minute| minute.latency);
        let least = latencies().map(|latency| millis(latency.p50)).reduce(f64::min);
        let greatest = latencies().map(|latency| millis(latency.p99)).reduce(f64::max);

        match (least, greatest) {
            // Whole powers of ten, so that two plots can be compared.
            (Some(least), Some(greatest)) => {
                power_of_ten(least, f64::floor)..power_of_ten(greatest * 1.01, f64::ceil)
            }
            _ => EMPTY_LATENCIES,
        }
    }

    fn draw<Y>(
        &self,
        axis: Y,
        range: Range<f64>,
        label: &dyn Fn(&f64) -> String,
        lines: Vec<(ShapeStyle, Vec<(f64, f64)>)>,
    ) -> Outcome<String>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut svg = String::new();
        let plot = SVGBackend::with_string(&mut svg, (self.width, HEIGHT)).into_drawing_area();
        let oldest = -(MINUTES as f64);

        let mut chart = ChartBuilder::on(&plot)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(28)
            .y_label_area_size(52)
            .build_cartesian_2d(oldest..0.0, axis)?;

        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .x_labels(if self.width < 480 { 4 } else { 7 })
            .y_labels(5)
            .label_style(("sans-serif", TEXT))
            .x_label_formatter(&|minutes| minutes_text(*minutes))
            .y_label_formatter(&|value| label(value))
            .draw()?;

        for (style, points) in lines {
            // A line of one point would be invisible.
            let dots = points.iter().map(|&point| Circle::new(point, 2, style.filled()));
            chart.draw_series(dots)?;
            chart.draw_series(LineSeries::new(points, style))?;
        }

        for publication in self.publications {
            let at = -(publication.ago.as_secs_f64() / 60.0);
            let mark = [(at, range.start), (at, range.end)];
            chart.draw_series(LineSeries::new(mark, PUBLISHED.stroke_width(2)))?;
        }

        present(&plot)?;
        drop(chart);
        drop(plot);

        Ok(svg)
    }
}

fn present(plot: &Plot<'_>) -> Outcome<()> {
    Ok(plot.present()?)
}

fn millis(latency: Duration) -> f64 {
    // The axis is logarithmic, and a latency of 0 has no place on it.
    (latency.as_secs_f64() * 1e3).max(0.001)
}

/// Returns the power of ten below or above a positive number.
fn power_of_ten(number: f64, round: fn(f64) -> f64) -> f64 {
    10_f64.powf(round(number.log10()))
}

fn minutes_text(minutes: f64) -> String {
    if minutes > -0.5 { "now".into() } else { format!("{minutes:.0} min") }
}

fn milliseconds_text(millis: &f64) -> String {
    match *millis {
        seconds if seconds >= 1000.0 => format!("{} s", seconds / 1000.0),
        millis if millis >= 1.0 => format!("{millis:.0} ms"),
        micros => format!("{:.0} µs", micros * 1000.0),
    }
}

fn count_text(count: &f64) -> String {
    match *count {
        count if count >= 1e6 => format!("{:.1} M", count / 1e6),
        count if count >= 1e4 => format!("{:.0} k", count / 1e3),
        count => format!("{count:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minutes_ago: u64, answered: u64, millis: u64) -> RequestSummary {
        let latency = Duration::from_millis(millis);
        let latency = Percentiles { p50: latency, p95: latency * 2, p99: latency * 4 };
        RequestSummary { minutes_ago, answered, failed: 1, latency: Some(latency) }
    }

    fn lines(svg: &str, colour: RGBColor) -> usize {
        let RGBColor(red, green, blue) = colour;
        let stroke = format!("stroke=\"#{red:02X}{green:02X}{blue:02X}\"");
        svg.matches("<polyline").count().min(svg.matches(&stroke).count())
    }

    #[test]
    fn plots_have_a_line_for_each_series_and_each_publication() {
        let minutes = [minute(50, 3, 2), minute(10, 5, 3), minute(0, 9, 4)];
        let ago = Duration::from_secs(600);
        let publications = [Publication { version: 2, ago }, Publication { version: 1, ago }];
        let plots = Plots { minutes: &minutes, publications: &publications, width: 640 };

        let (latency, requests) = (plots.latency().unwrap(), plots.requests().unwrap());
        for colour in [P50, P95, P99] {
            assert!(lines(&latency, colour) >= 1, "{latency}");
        }
        for (svg, colour, count) in [(&latency, PUBLISHED, 2), (&requests, PUBLISHED, 2)] {
            assert_eq!(lines(svg, colour), count, "{svg}");
        }
        assert!(lines(&requests, ANSWERED) >= 1 && lines(&requests, FAILED) >= 1);
        assert!(
            latency.contains("10 ms") && latency.contains("now") && requests.contains("-60 min")
        );
        assert!(!latency.contains("style="), "the policy of the page forbids inline styles");
    }

    #[test]
    fn extreme_numbers_are_drawn() {
        let zero = RequestSummary { minutes_ago: 3, answered: 0, failed: 0, latency: None };
        let none = Percentiles { p50: Duration::ZERO, p95: Duration::ZERO, p99: Duration::ZERO };
        let least = RequestSummary { latency: Some(none), ..zero.clone() };
        let greatest = RequestSummary { answered: u64::MAX, ..minute(3, 0, u64::MAX / 8) };

        for minutes in [&[][..], &[zero], &[least], &[greatest]] {
            for width in [280, 1200] {
                let plots = Plots { minutes, publications: &[], width };
                assert!(plots.latency().unwrap().ends_with("</svg>\n"), "{minutes:?}");
                assert!(plots.requests().unwrap().len() < 64 << 10, "{minutes:?}");
            }
        }
    }
}
