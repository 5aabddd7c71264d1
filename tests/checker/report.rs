//! What a run found: JSON for machines, and one page with pictures for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::judge::Found;
use crate::load::{Op, Outcome};
use crate::nemesis::Event;

/// One run.
pub struct Run<'a> {
    /// What decided it.
    pub seed: u64,
    /// On which database.
    pub on: &'static str,
    /// What was more than usual, as part of a file's name.
    pub more: String,
    /// Seconds of load.
    pub seconds: f64,
    /// How it is done again.
    pub command: String,
    /// When, on what, with which versions.
    pub setting: Value,
    /// What the clients did.
    pub history: &'a [Op],
    /// What went wrong.
    pub faults: &'a [Event],
    /// The verdict.
    pub found: &'a Found,
}

impl Run<'_> {
    /// Every invariant holds.
    pub fn holds(&self) -> bool {
        self.found.verdicts.iter().all(|it| it.against.is_empty())
    }

    fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for op in self.history {
            let outcome = match &op.outcome {
                Outcome::Recorded(_) => "recorded",
                Outcome::Accepted => "accepted",
                Outcome::Refused(..) => "refused",
                Outcome::Unknown => "unknown",
                Outcome::Read(_) => "answered",
            };
            *counted.entry(format!("{:?} {outcome}", op.deed)).or_default() += 1;
        }
        counted
    }

    /// Good answers in each second.
    fn throughput(&self) -> Vec<usize> {
        let last = self.history.iter().map(|it| it.ended).fold(self.seconds, f64::max);
        let mut seconds = vec![0; second(last) + 1];
        let good = |it: &&Op| {
            matches!(it.outcome, Outcome::Recorded(_) | Outcome::Accepted | Outcome::Read(Ok(())))
        };
        for op in self.history.iter().filter(good) {
            if let Some(count) = seconds.get_mut(second(op.ended)) {
                *count += 1;
            }
        }
        seconds
    }

    fn to_json(&self) -> Value {
        let faults: Vec<Value> = self
            .faults
            .iter()
            .map(|it| json!({ "fault": format!("{:?}", it.fault), "instance": it.instance, "from": it.from, "to": it.to }))
            .collect();
        json!({
            "seed": self.seed, "on": self.on, "seconds": self.seconds, "command": self.command,
            "setting": self.setting, "holds": self.holds(), "facts": self.found.facts,
            "healed_after_seconds": self.found.healed,
            "lost": { "prefix": self.found.lost.prefix, "middle": self.found.lost.middle, "tail": self.found.lost.tail },
            "verdicts": self.found.verdicts.iter().map(crate::judge::Verdict::to_json).collect::<Vec<_>>(),
            "operations": self.outcomes(), "faults": faults, "throughput": self.throughput(),
        })
    }

    /// Writes both, and says where.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let name = format!("{}{}-{}", self.on, self.more, self.seed);
        let text = serde_json::to_string_pretty(&self.to_json())?;
        std::fs::write(folder.join(format!("{name}.json")), text + "\n")?;
        let page = folder.join(format!("{name}.html"));
        std::fs::write(&page, self.page())?;
        Ok(page)
    }

    fn page(&self) -> String {
        let mut rows = String::new();
        for it in &self.found.verdicts {
            let (class, word) =
                if it.against.is_empty() { ("good", "holds") } else { ("bad", "broken") };
            let mut against = String::new();
            for line in it.against.iter().take(20) {
                let _ = write!(against, "<br><code>{}</code>", escaped(line));
            }
            let _ = writeln!(
                rows,
                "<tr class={class}><th scope=row>{}</th><td>{word}</td><td>{}{against}</td><td>{}</td></tr>",
                it.id,
                it.says,
                escaped(&it.looked_at)
            );
        }
        let mut counts = String::new();
        for (what, count) in self.outcomes() {
            let _ = writeln!(counts, "<tr><td>{what}</td><td class=n>{count}</td></tr>");
        }
        let title = format!("Sapa under faults: {}, seed {}", self.on, self.seed);
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
<title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>\
<p class={}>{}</p><p>Done again by <code>{}</code></p>\
<h2>Good answers a second, and what went wrong meanwhile</h2>{}\
<h2>Lost</h2>{}<h2>Invariants</h2><table><tbody>{rows}</tbody></table>\
<h2>What the clients did</h2><table><tbody>{counts}</tbody></table>\
<h2>Setting</h2><pre>{}</pre></main></html>\n",
            if self.holds() { "good" } else { "bad" },
            if self.holds() { "All invariants hold." } else { "An invariant is broken." },
            escaped(&self.command),
            self.picture(),
            self.losses(),
            escaped(&serde_json::to_string_pretty(&self.setting).unwrap_or_default()),
        )
    }

    /// Throughput as an area, faults as bars above it.
    #[expect(clippy::cast_precision_loss, reason = "counts that are drawn")]
    fn picture(&self) -> String {
        let seconds = self.throughput();
        let most = seconds.iter().copied().max().unwrap_or(1).max(1) as f64;
        let width = 1_000.0;
        let x = |second: f64| second / (seconds.len() as f64) * width;
        let mut area = String::from("0,220");
        for (n, count) in seconds.iter().enumerate() {
            let _ = write!(
                area,
                " {:.1},{:.1}",
                x(n as f64 + 0.5),
                220.0 - *count as f64 / most * 160.0
            );
        }
        let _ = write!(area, " {width},220");
        let mut bars = String::new();
        for (n, it) in self.faults.iter().enumerate() {
            let row = 4.0 + (n % 4) as f64 * 13.0;
            let _ = write!(
                bars,
                "<rect x={:.1} y={row} width={:.1} height=11><title>{:?} of instance {}, {:.1} s to {:.1} s</title></rect>\
<line x1={:.1} x2={:.1} y1={row} y2=220 />",
                x(it.from),
                (x(it.to) - x(it.from)).max(3.0),
                it.fault,
                it.instance,
                it.from,
                it.to,
                x(it.from),
                x(it.from),
            );
        }
        format!(
            "<svg viewBox=\"0 0 {width} 240\" role=img aria-label=\"Good answers a second\">{bars}\
<polygon points=\"{area}\" /><text x=4 y=236>0 s</text><text x=996 y=236 text-anchor=end>{} s</text>\
<text x=996 y=70 text-anchor=end>{most:.0} a second</text></svg>",
            seconds.len(),
        )
    }

    /// What was lost, by where in a client's sequence it stood.
    fn losses(&self) -> String {
        let lost = self.found.lost;
        let parts = [("beginning", lost.prefix), ("middle", lost.middle), ("end", lost.tail)];
        let most = parts.iter().map(|it| it.1).max().unwrap_or(0).max(1);
        let mut bars = String::new();
        for (n, (name, count)) in parts.iter().enumerate() {
            let _ = write!(
                bars,
                "<text x=0 y={}>{name}</text><rect class=lost x=90 y={} width={} height=14 /><text x={} y={}>{count}</text>",
                n * 22 + 14,
                n * 22 + 3,
                count * 400 / most,
                count * 400 / most + 96,
                n * 22 + 14,
            );
        }
        format!("<svg viewBox=\"0 0 600 70\" role=img aria-label=\"Lost events\">{bars}</svg>")
    }
}

const STYLE: &str = ":root{color-scheme:light dark;--line:#8886}body{font:16px/1.5 system-ui,sans-serif;margin:0}\
main{max-width:64rem;margin:auto;padding:1rem}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);\
padding:.3rem .5rem;text-align:left;vertical-align:top}.n{text-align:right}.good th,p.good{color:light-dark(#05682f,#6fdc9a)}\
.bad th,p.bad{color:light-dark(#a40022,#ff8b9b)}svg{width:100%;height:auto}polygon{fill:light-dark(#2a6fb0,#6db1f2);opacity:.8}\
svg rect{fill:light-dark(#c2410c,#fb923c)}svg line{stroke:light-dark(#c2410c,#fb923c);stroke-dasharray:2 4;opacity:.5}\
svg text{fill:currentColor;font-size:13px}pre{overflow:auto}code{overflow-wrap:anywhere}";

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second of a run")]
fn second(at: f64) -> usize {
    at.max(0.0) as usize
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
