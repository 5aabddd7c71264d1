//! P10: what the program costs before anybody asks it anything, and how soon the demo is there.

use std::time::Duration;

use crate::ground::{Ground, memory_mb, millis};
use crate::report::{Goal, Line, Report};
use crate::serving::Serving;

/// How long a service rests before its memory is read.
const REST: Duration = Duration::from_secs(5);

/// Measures all of it.
pub async fn measure(ground: &Ground, report: &mut Report) {
    let (mut answer, mut idle, mut ready) = (vec![], vec![], vec![]);
    for _ in 0..ground.rounds {
        let folder = tempfile::tempdir().unwrap();
        let serving = Serving::start(&ground.program, folder.path(), &["serve"], &[]);
        answer.push(serving.answers().await);
        tokio::time::sleep(REST).await;
        idle.push(memory_mb(serving.pid(), "VmRSS"));
        serving.end().await;
        ready.push(demo(ground).await);
    }
    let bytes = std::fs::metadata(&ground.program).map_or(0, |it| it.len());
    let size = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6;
    report
        .add(Line::plain("P10", "start to first answer", &answer, "ms").goal(Goal::AtMost(500.0)));
    report
        .add(Line::plain("P10", "memory of an idle service", &idle, "MB").goal(Goal::AtMost(40.0)));
    report.add(Line::plain("P10", "size of the program", &[size], "MB").goal(Goal::AtMost(40.0)));
    report.add(Line::plain("P10", "demo ready", &ready, "ms").goal(Goal::AtMost(5_000.0)));
}

/// Milliseconds until the demo says that it is ready.
async fn demo(ground: &Ground) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let data = data.to_string_lossy();
    let words = ["demo", "--live", "off", "--data-dir", &data, "--offline"];
    let serving = Serving::start(&ground.program, folder.path(), &words, &[]);
    while !serving.said().contains("Ready in") {
        assert!(serving.began.elapsed() < Duration::from_mins(2), "no demo: {}", serving.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = millis(serving.began);
    serving.end().await;
    took
}
