//! Rows of tiers in and out, on a database of its own.

use std::collections::HashMap;

use events::fact::loyalty::Cause;
use events::policy::{Policies, PolicyHistory};
use events::tier::Tier;
use store::db::{Family, Place};

use super::{Story, date, fulfilled, json, ratna, walk};
use crate::dossier::{Dossier, Holder};
use crate::folds::Folds;
use crate::loyalty::explain::Detail;
use crate::loyalty::query::{Counts, Wanted, branch, counts, get, list};
use crate::policies::Rules;
use crate::rows::Key;
use crate::rows::{self, Before, Touched};
use crate::runner::VIEWS_STEPS;
use crate::views::Snapshot;

pub(crate) fn dossier(story: &Story) -> Dossier {
    let mut dossier = Dossier::default();
    for entry in story.entries() {
        dossier.apply(&entry, &Policies::default());
    }
    dossier
}

/// A snapshot of an empty database that can also be written to.
pub(crate) async fn open(folder: &std::path::Path) -> Snapshot {
    let (place, family) = (Place::Folder(folder.to_owned()), Family::Views(1));
    let db = place.open(family, 2).await.expect("a new database opens");
    db.migrate(family, VIEWS_STEPS).await.expect("the migrations run");
    let tx = db.begin_write().await.expect("nobody else writes");
    let policies = HashMap::new().into();
    let (folds, policies_until) = (Folds::Own, None);
    Snapshot { tx, position: 0, policies, generation: 1, folds, policies_until }
}

/// An empty log.
pub(crate) async fn log(folder: &std::path::Path) -> store::Log {
    let place = Place::Folder(folder.to_owned());
    store::Log::open(&place, 1, uuid::Uuid::from_u128(1)).await.expect("a new log opens")
}

pub(crate) fn key(holder: &str) -> Key {
    ("main".parse().unwrap(), Holder::stored(holder))
}

#[tokio::test]
async fn a_list_knows_tiers_lapses_steps_and_branches() {
    let folder = tempfile::tempdir().unwrap();
    let mut snapshot = open(folder.path()).await;
    let (policies, history) = (Policies::default(), PolicyHistory::new());
    let rules = || Rules { active: &policies, history: &history };
    let mut primary = ratna();
    primary.add(
        "r",
        "referral.recorded",
        "2026-05-01T10:00:00+07:00",
        json!({ "referred": "c-2" }),
    );
    walk(&mut primary, "2026-06-01T00:00:00+07:00", &history);
    let mut second = Story::default();
    let sale = json!({
        "purchase": "x", "kind": "sale", "amount": { "amount": 70_000, "currency": "IDR" },
    });
    second
        .add("a", "booking.fulfilled", "2024-01-01T10:00:00+07:00", fulfilled(false))
        .add("b", "purchase.recorded", "2026-05-01T10:00:00+07:00", sale)
        .add("r", "referral.recorded", "2026-05-02T10:00:00+07:00", json!({ "referred": "c-3" }))
        .add("s", "referral.recorded", "2026-05-02T11:00:00+07:00", json!({ "referred": "c-9" }));
    let mut third = Story::default();
    third.add("r", "referral.recorded", "2026-05-03T10:00:00+07:00", json!({ "referred": "c-9" }));
    let all = [("c-1", dossier(&primary)), ("c-2", dossier(&second)), ("c-3", dossier(&third))];
    let keys: Vec<Key> = all.iter().map(|(id, _)| key(id)).collect();
    let touch = |(key, it)| Touched { key, dossier: it, rules: rules(), before: Before::Unknown };
    let dossiers = all.iter().map(|(_, it)| it);
    let touched: Vec<Touched<'_>> = keys.iter().zip(dossiers).map(touch).collect();
    for _ in 0..2 {
        rows::replace(&mut snapshot.tx, &touched).await.expect("twice is once");
    }

    let tenant = "main".parse().unwrap();
    let today = date("2026-06-01");
    let ask = async |snapshot: &mut Snapshot, wanted: Wanted| -> Vec<String> {
        let found = list(snapshot, &tenant, &wanted, today, 10).await.expect("it answers");
        found.into_iter().map(|it| it.customer.to_string()).collect()
    };
    assert_eq!(ask(&mut snapshot, Wanted::default()).await, ["c-1", "c-2", "c-3"]);
    let after = Wanted { after: Some("c-1".to_owned()), ..Wanted::default() };
    assert_eq!(ask(&mut snapshot, after).await, ["c-2", "c-3"]);
    let tier = Wanted { tier: Some(Tier::Primary), ..Wanted::default() };
    assert_eq!(ask(&mut snapshot, tier).await, ["c-1"]);
    let step = Wanted { one_step_from: Some(Tier::Primary), ..Wanted::default() };
    assert_eq!(ask(&mut snapshot, step).await, ["c-2"], "one more day is missing");
    let step = Wanted { one_step_from: Some(Tier::Secondary), ..Wanted::default() };
    assert_eq!(ask(&mut snapshot, step).await, ["c-3"]);
    for (before, found) in [("2027-03-17", vec!["c-1"]), ("2027-03-16", vec![])] {
        let lapsing = Wanted { lapsing_before: Some(date(before)), ..Wanted::default() };
        assert_eq!(ask(&mut snapshot, lapsing).await, found);
    }
    let expected = Counts { prospect: 1, secondary: 1, primary: 1 };
    assert_eq!(counts(&mut snapshot, &tenant).await.unwrap(), expected);

    let customer = "c-1".parse().unwrap();
    let found = branch(&mut snapshot, &tenant, &customer).await.unwrap();
    assert_eq!((found.count, found.value), (3, 70_000), "c-9 is counted once");
    let state = &all[0].1.loyalty;
    let answer = get(&mut snapshot, &tenant, &customer, state, &policies, today, Detail::Short);
    let answer = answer.await.unwrap();
    assert_eq!((answer.tier, answer.cause), (Tier::Primary, Some(Cause::Earned)));
    assert_eq!((answer.referrals.branch, answer.counted), (3, None));
}
