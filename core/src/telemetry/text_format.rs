//! The text format of Prometheus, version 0.0.4.

/// Converts metrics from the OpenMetrics text format into the older one of Prometheus, where a
/// family has the name of its samples: that of a counter also ends with `_total`.
pub fn to_text_format(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 256);
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = family(kind);
            if let Some((_, help)) = help.take().filter(|(about, _)| *about == name) {
                text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The suffix of a family's name, and its type.
fn family(kind: &str) -> (&'static str, &str) {
    match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "stateset" => ("", "gauge"),
        "unknown" => ("", "untyped"),
        other => ("", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_names_of_their_samples() {
        let open_metrics = "# HELP a Some.\n# TYPE a counter\na_total{m=\"x\"} 1\n# HELP b_seconds Other.\n\
                            # TYPE b_seconds histogram\n# UNIT b_seconds seconds\nb_seconds_count 1\n\
                            # HELP c About.\n# TYPE c info\nc_info{v=\"1\"} 1\n# TYPE d unknown\nd 1\n# EOF\n";
        let text = "# HELP a_total Some.\n# TYPE a_total counter\na_total{m=\"x\"} 1\n# HELP b_seconds Other.\n\
                    # TYPE b_seconds histogram\nb_seconds_count 1\n\
                    # HELP c_info About.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n# TYPE d untyped\nd 1\n";
        assert_eq!(to_text_format(open_metrics), text);
    }
}
