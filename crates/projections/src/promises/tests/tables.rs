//! Rows of promises in and out, on a database of its own.

use events::policy::PolicyHistory;

use super::*;
use crate::listing::Window;
use crate::loyalty::tests::tables::{dossier, key, log, open};
use crate::policies::Rules;
use crate::promises::query::{By, Wanted, get, list, quote, reliability};
use crate::rows::{self, Before, Touched};

/// The three promises of story S4, up to their ends.
fn three() -> Story {
    let mut story = rina();
    let done = "2026-05-11T09:20:00+07:00";
    story.add("a-1", "interaction.answered", done, answer("inquiry/q-88", true));
    let data = made("p-2", "2026-05-11T15:00:00+07:00", "inquiry/q-2");
    story.add("m-2", "promise.made", "2026-05-11T09:30:00+07:00", data);
    let done = "2026-05-11T14:50:00+07:00";
    story.add("a-2", "interaction.answered", done, answer("inquiry/q-2", true));
    let data = made("p-3", "2026-05-13T12:00:00+07:00", "inquiry/q-3");
    story.add("m-3", "promise.made", "2026-05-12T15:00:00+07:00", data);
    let moved = json!({
        "promise": "p-3", "how": "renegotiated", "told": true,
        "new_due_at": "2026-05-13T16:00:00+07:00",
    });
    story.add("r-3", "promise.settled", "2026-05-13T11:00:00+07:00", moved);
    let done = json!({ "promise": "p-3", "how": "kept" });
    story.add("k-3", "promise.settled", "2026-05-13T15:00:00+07:00", done);
    let data = made("p-4", "2026-06-01T12:00:00+07:00", "inquiry/q-4");
    story.add("m-4", "promise.made", "2026-05-31T12:00:00+07:00", data);
    story
}

#[tokio::test]
async fn promises_are_listed_by_due_time_and_three_of_three_were_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut snapshot = open(folder.path()).await;
    let (policies, history) = (Policies::default(), PolicyHistory::new());
    let (key, it) = (key("c-1"), dossier(&three()));
    let rules = Rules { active: &policies, history: &history };
    for _ in 0..2 {
        let rules = Rules { ..rules };
        let touched = Touched { key: &key, dossier: &it, rules, before: Before::Unknown };
        rows::replace(&mut snapshot.tx, &[touched]).await.expect("twice is once");
    }
    let (log, some) = (log(folder.path()).await, Window::first(10));
    let tenant = "main".parse().unwrap();
    let found = get(&mut snapshot, &tenant, "p-310").await.unwrap().unwrap();
    let now = at("2026-06-01T07:00:00+07:00");
    let shown = found.to_json(now);
    assert_eq!((&shown["state"], &shown["margin_minutes"]), (&json!("kept"), &json!(40)));
    assert_eq!(shown["fulfilled_by"], "/t#a-1");

    let ask = async |snapshot: &mut _, states: &'static str, now: &str| -> Vec<String> {
        let states = states.split_whitespace().collect();
        let wanted = Wanted { states, ..Wanted::default() };
        let found = list(snapshot, &log, &tenant, &wanted, at(now), &some).await;
        found.expect("it answers").into_iter().map(|(_, it)| it.promise).collect()
    };
    let (early, soon, past) =
        ("2026-06-01T05:00:00+07:00", "2026-06-01T06:00:00+07:00", "2026-06-01T12:00:01+07:00");
    assert_eq!(ask(&mut snapshot, "", early).await, ["p-310", "p-2", "p-3", "p-4"]);
    for (now, state) in [(early, "open"), (soon, "due_soon"), (past, "overdue")] {
        for asked in ["open", "due_soon", "overdue"] {
            let wanted: &[&str] = if asked == state { &["p-4"] } else { &[] };
            assert_eq!(ask(&mut snapshot, asked, now).await, wanted, "{asked} at {now}");
        }
    }
    assert_eq!(ask(&mut snapshot, "kept overdue", past).await, ["p-310", "p-2", "p-3", "p-4"]);
    let owed = Wanted { due_by: Some(at("2026-06-02T00:00:00Z")), ..Wanted::default() };
    let found = list(&mut snapshot, &log, &tenant, &owed, now, &some).await.unwrap();
    assert_eq!(found.len(), 1);
    let priced = Wanted {
        customer: Some("c-1".parse().unwrap()),
        topic: Some("price".to_owned()),
        ..Wanted::default()
    };
    let all = list(&mut snapshot, &log, &tenant, &priced, now, &some).await.unwrap();
    let after = all.get(1).map(|(place, _)| place.clone());
    let behind = Window { after, ..some.clone() };
    let found = list(&mut snapshot, &log, &tenant, &priced, now, &behind).await.unwrap();
    assert_eq!((all.len(), found.len()), (4, 2));

    let (from, to) = (at("2026-05-01T00:00:00+07:00"), at("2026-06-30T00:00:00+07:00"));
    for by in [By::Owner, By::Topic, By::Team] {
        let rates = reliability(&mut snapshot, &tenant, by, from, to).await.unwrap();
        let ani = &rates[0];
        assert_eq!((rates.len(), ani.kept, ani.late, ani.broken), (1, 3, 0, 0));
        assert_eq!((ani.rate, ani.renegotiated, ani.beaten), (Some(1.0), 1, 0));
    }
    let said = quote(&mut snapshot, &tenant, "price", now, &policies.promise).await.unwrap();
    assert_eq!((said.n, said.p80, said.suggestion), (1, Some(2_690), None));
}
