//! The picture in the README: what the server granted and refused over time.

use std::path::Path;

use plotters::prelude::*;

use crate::{contenders::Failure, server::Seen};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/limiter.svg");
const GRANTED: RGBColor = RGBColor(46, 125, 50);
const REFUSED: RGBColor = RGBColor(198, 40, 40);

/// Draws both clients, one below the other, on the same scale.
pub fn draw(ours: &[Seen], theirs: &[Seen]) -> Result<(), Failure> {
    if let Some(folder) = Path::new(FILE).parent() {
        std::fs::create_dir_all(folder)?;
    }
    let counts = [ours, theirs].map(per_second);
    let seconds = counts.iter().map(Vec::len).max().unwrap_or_default();
    let most = counts.iter().flatten().flatten().copied().max();
    let most = most.unwrap_or_default() + 4;

    let root = SVGBackend::new(FILE, (840, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let titles = [
        "sigmamind: 300 calls, 64 at once; the server grants 20 a second",
        "reqwest with reqwest-retry: the same",
    ];
    for (area, (title, counts)) in root
        .split_evenly((2, 1))
        .iter()
        .zip(titles.iter().zip(&counts))
    {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 18))
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(44)
            .build_cartesian_2d(0..seconds, 0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc("seconds")
            .y_desc("requests in a second")
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (kind, name, color) in [(0, "granted", GRANTED), (1, "refused", REFUSED)] {
            let bars = counts.iter().enumerate().map(|(second, count)| {
                let (from, to) = if kind == 0 {
                    (0, count[0])
                } else {
                    (count[0], count[0] + count[1])
                };
                Rectangle::new([(second, from), (second + 1, to)], color.filled())
            });
            chart.draw_series(bars)?.label(name).legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled())
            });
        }
        chart
            .configure_series_labels()
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// Granted and refused in each second.
fn per_second(seen: &[Seen]) -> Vec<[u32; 2]> {
    let mut counts = Vec::new();
    for seen in seen {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a short time after the first"
        )]
        let second = seen.at as usize;
        if counts.len() <= second {
            counts.resize(second + 1, [0; 2]);
        }
        counts[second][usize::from(!seen.granted)] += 1;
    }
    counts
}
