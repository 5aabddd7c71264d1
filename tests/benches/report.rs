//! What was measured: each figure beside the raw limit of the same machine in the same run.
//!
//! A figure is the median of its rounds. It is printed as a table and written as JSON; no figure is
//! asserted, because a busy machine is no fault of the code.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

/// What a ratio, or a plain figure, should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// Only told.
    None,
}

impl Goal {
    fn met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(it) => Some(it <= value),
            Self::AtMost(it) => Some(value <= it),
            Self::None => None,
        }
    }

    fn spelled(self) -> String {
        match self {
            Self::AtLeast(it) => format!("≥ {}", figure(it)),
            Self::AtMost(it) => format!("≤ {}", figure(it)),
            Self::None => String::new(),
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Line {
    /// The number in the list of measures, such as `P1`.
    pub id: &'static str,
    /// What was done.
    pub what: String,
    /// Our figure, the median.
    pub ours: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What stands beside it, if anything, and its figure.
    pub beside: Option<(String, f64)>,
    /// For ours over raw where there is a raw figure, otherwise for ours.
    pub goal: Goal,
    /// All rounds, ours.
    pub rounds: Vec<f64>,
}

impl Line {
    /// A figure that stands for itself.
    pub fn plain(
        id: &'static str,
        what: impl Into<String>,
        rounds: &[f64],
        unit: &'static str,
    ) -> Self {
        Self {
            id,
            what: what.into(),
            ours: median(rounds),
            unit,
            beside: None,
            goal: Goal::None,
            rounds: rounds.to_vec(),
        }
    }

    /// A figure that only somebody else has: it stands in the column of what is beside.
    pub fn of_a_peer(
        id: &'static str,
        what: impl Into<String>,
        peer: impl Into<String>,
        figure: f64,
        unit: &'static str,
    ) -> Self {
        Self::plain(id, what, &[], unit).beside(peer, &[figure])
    }

    /// The same beside the raw limit.
    pub fn beside(mut self, what: impl Into<String>, rounds: &[f64]) -> Self {
        self.beside = Some((what.into(), median(rounds)));
        self
    }

    /// The same with a goal.
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// Ours over raw; ours where nothing stands beside it.
    fn judged(&self) -> f64 {
        self.beside.as_ref().map_or(self.ours, |(_, raw)| self.ours / raw)
    }

    /// Our figure with its unit; nothing where only a peer has one.
    fn own(&self) -> String {
        if self.ours.is_nan() {
            return String::new();
        }
        format!("{} {}", figure(self.ours), self.unit)
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "what": self.what, "ours": self.ours, "unit": self.unit,
            "beside": self.beside.as_ref().map(|it| &it.0),
            "raw": self.beside.as_ref().map(|it| it.1),
            "ratio": self.beside.as_ref().map(|_| self.judged()),
            "goal": self.goal.spelled(), "met": self.goal.met(self.judged()),
            "rounds": self.rounds,
        })
    }
}

/// All lines of a run.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Takes a line in and prints it.
    pub fn add(&mut self, line: Line) {
        eprintln!("{}", row(&line));
        self.lines.push(line);
    }

    /// The table for documents.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| # | Measure | Ours | Beside it | Raw | Ratio | Goal | Met |\n|---|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let (beside, raw, ratio) = match &line.beside {
                Some((what, raw)) if line.ours.is_nan() => {
                    (what.as_str(), format!("{} {}", figure(*raw), line.unit), String::new())
                }
                Some((what, raw)) => (what.as_str(), figure(*raw), format!("{:.2}", line.judged())),
                None => ("", String::new(), String::new()),
            };
            let met = match line.goal.met(line.judged()) {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {beside} | {raw} | {ratio} | {} | {met} |",
                line.id,
                line.what,
                line.own(),
                line.goal.spelled(),
            );
        }
        text
    }

    /// Writes all of it, with what it was measured on.
    pub fn write(&self, path: &Path, machine: &Value) -> std::io::Result<()> {
        let lines: Vec<Value> = self.lines.iter().map(Line::to_json).collect();
        let text = serde_json::to_string_pretty(&json!({ "machine": machine, "lines": lines }))?;
        std::fs::write(path, text + "\n")
    }
}

fn row(line: &Line) -> String {
    let beside = line.beside.as_ref().map_or_else(String::new, |(what, raw)| {
        if line.ours.is_nan() {
            return format!("{} {} for {what}", figure(*raw), line.unit);
        }
        format!("  beside {} for {what}: ratio {:.2}", figure(*raw), line.judged())
    });
    let goal = match line.goal.met(line.judged()) {
        Some(true) => format!("  goal {} met", line.goal.spelled()),
        Some(false) => format!("  goal {} MISSED", line.goal.spelled()),
        None => String::new(),
    };
    format!("{:4} {}: {}{beside}{goal}", line.id, line.what, line.own())
}

/// A figure as people read it.
fn figure(it: f64) -> String {
    match it.abs() {
        none if none.is_nan() => "none".to_owned(),
        whole if whole < 1_000.0 && whole.fract() == 0.0 => format!("{it:.0}"),
        big if 1_000.0 <= big => {
            let whole = format!("{it:.0}");
            let mut text = String::new();
            for (n, digit) in whole.chars().enumerate() {
                if n != 0 && (whole.len() - n).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        some if 10.0 <= some => format!("{it:.1}"),
        _ => format!("{it:.2}"),
    }
}

/// The middle of what was measured.
pub fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// A quantile of sorted figures, 0 to 1; the nearest rank.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank among measured figures"
)]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}
