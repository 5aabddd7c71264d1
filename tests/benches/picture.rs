//! Curves as an SVG file that is read in light and in dark, and without its colours: each curve is
//! named and has a dash of its own.
//!
//! Panels stand one above the other. Every axis begins at nothing and carries its unit.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
/// Of one panel, with its title and its axes.
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 870.0;
/// Of the plot, beneath the top of its panel.
const TOP: f64 = 84.0;
const BOTTOM: f64 = 264.0;
/// Of the picture, above the first panel.
const HEAD: f64 = 40.0;
/// Lines of an axis, about.
const TICKS: f64 = 5.0;

const STYLE: &str = "svg{color-scheme:light dark;color:#1b1f24;font:13px system-ui,sans-serif}\
.ground{fill:#fff}.a{stroke:#2a6fb0}.b{stroke:#c2410c}\
@media (prefers-color-scheme:dark){svg{color:#e6e6e6}.ground{fill:#16191d}.a{stroke:#6db1f2}.b{stroke:#fb923c}}\
text{fill:currentColor}.title{font-weight:600}.head{font-size:16px;font-weight:600}\
.line{stroke:currentColor;opacity:.2}.mark{stroke:currentColor;opacity:.5;stroke-dasharray:2 4}\
.curve{fill:none;stroke-width:2;stroke-linejoin:round}.b{stroke-dasharray:7 3}";

/// A line through points that are sorted by x.
#[derive(Debug)]
pub struct Curve {
    /// What it is.
    pub name: &'static str,
    /// x and y; what is no number is left out.
    pub points: Vec<(f64, f64)>,
}

/// One plot.
#[derive(Debug)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What runs across, with its unit.
    pub across: &'static str,
    /// What runs up, with its unit.
    pub up: &'static str,
    /// At most two.
    pub curves: Vec<Curve>,
    /// Places across that have a name.
    pub marks: Vec<(f64, String)>,
}

/// The text of the file.
pub fn svg(title: &str, panels: &[Panel]) -> String {
    let mut body = String::new();
    let mut top = HEAD;
    for panel in panels {
        let _ = write!(body, "<g transform=\"translate(0 {top})\">{}</g>", panel.drawn());
        top += HEIGHT;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" role=\"img\">\
<title>{title}</title><style>{STYLE}</style><rect class=\"ground\" width=\"{WIDTH}\" height=\"{top}\"/>\
<text class=\"head\" x=\"20\" y=\"30\">{title}</text>{body}</svg>\n"
    )
}

impl Panel {
    fn drawn(&self) -> String {
        let points = || self.curves.iter().flat_map(|it| &it.points).filter(|it| it.1.is_finite());
        let marked = self.marks.iter().map(|it| it.0);
        let (right, top) = (
            points().map(|it| it.0).chain(marked).fold(0.0, f64::max),
            points().map(|it| it.1).fold(0.0, f64::max),
        );
        let (step_right, step_top) = (step(right), step(top));
        // The highest line stands above the highest point; across, the last point ends the plot.
        let ceiling = (top / step_top).ceil().max(1.0) * step_top;
        let right = if 0.0 < right { right } else { step_right };
        let x = |it: f64| LEFT + it / right * (RIGHT - LEFT);
        let y = |it: f64| BOTTOM - it / ceiling * (BOTTOM - TOP);
        let mut text = format!("<text class=\"title\" x=\"20\" y=\"20\">{}</text>", self.title);
        for value in lines(step_top, ceiling) {
            let at = y(value);
            let _ = write!(
                text,
                "<path class=\"line\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\
<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                short(value)
            );
        }
        for value in lines(step_right, right) {
            let _ = write!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(value),
                BOTTOM + 18.0,
                short(value)
            );
        }
        let _ = write!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
<text transform=\"translate(20 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, RIGHT),
            BOTTOM + 38.0,
            self.across,
            f64::midpoint(TOP, BOTTOM),
            self.up,
        );
        self.draw_marks(&mut text, x);
        self.draw_curves(&mut text, x, y);
        text
    }

    /// Names that lie close together stand on rows of their own.
    fn draw_marks(&self, text: &mut String, x: impl Fn(f64) -> f64) {
        for ((at, name), row) in self.marks.iter().zip([0.0, 1.0, 2.0].into_iter().cycle()) {
            let (at, down) = (x(*at), TOP - 32.0 + row * 13.0);
            let _ = write!(
                text,
                "<path class=\"mark\" d=\"M{at:.1} {:.1}V{BOTTOM}\"/>\
<text x=\"{at:.1}\" y=\"{down:.1}\" text-anchor=\"middle\">{name}</text>",
                down + 3.0
            );
        }
    }

    fn draw_curves(&self, text: &mut String, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
        let mut legend = RIGHT;
        for (curve, class) in self.curves.iter().zip(["a", "b"]) {
            let mut path = String::new();
            for (across, up) in curve.points.iter().filter(|it| it.1.is_finite()) {
                let verb = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{verb}{:.1} {:.1}", x(*across), y(*up));
            }
            let _ = write!(
                text,
                "<path class=\"curve {class}\" d=\"{path}\"/>\
<text x=\"{legend:.1}\" y=\"20\" text-anchor=\"end\">{}</text>\
<path class=\"curve {class}\" d=\"M{:.1} 16h30\"/>",
                curve.name,
                legend - 110.0
            );
            legend -= 130.0;
        }
    }
}

/// 1, 2 or 5 and noughts, so that about so many fit.
fn step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let tenth = 10_f64.powf((most / TICKS).log10().floor());
    let over = most / TICKS / tenth;
    let nice = [1.0, 2.0, 5.0].into_iter().find(|it| over <= *it).unwrap_or(10.0);
    nice * tenth
}

/// Nothing and every step up to the most.
fn lines(step: f64, most: f64) -> impl Iterator<Item = f64> {
    let end = most + step / 1_000.0;
    (0_u32..64).map(move |it| f64::from(it) * step).take_while(move |it| *it <= end)
}

/// A figure of an axis.
fn short(value: f64) -> String {
    match value {
        millions if 1e6 <= millions => format!("{} M", millions / 1e6),
        thousands if 1e3 <= thousands => format!("{} k", thousands / 1e3),
        other if 1.0 <= other || other == 0.0 => format!("{other:.0}"),
        other => format!("{other:.3}"),
    }
}
