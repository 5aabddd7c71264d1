//! What stands around the log: checkpoints, leases, quarantine, tenants, keys, commands and
//! generations. Each promise on both databases.

use std::time::Duration;

use events::envelope::Provenance;
use events::problem::Language;
use serde_json::json;
use store::checkpoint::{self, Checkpoint, MoveError};
use store::commands::{self, Earlier};
use store::keys::{self, ApiKey};
use store::lease::{self, LEADER, LEASE};
use store::quarantine::{self, Settled, Suspect, Wanted, Whose};
use store::tenants::{self, Profile};
use store::{Db, generations};

use crate::support::{NOW, TestLog, at, contract, main_tenant};

contract![
    a_reader_that_never_ran_stands_at_zero,
    checkpoints_move_only_from_where_their_reader_left_them,
    an_old_epoch_cannot_move_a_checkpoint,
    a_dropped_transaction_leaves_nothing,
    whoever_goes_away_while_a_transaction_begins_leaves_none_open,
    a_lease_is_taken_over_only_after_it_expires_and_raises_the_epoch,
    of_eight_who_reach_for_a_lease_one_holds_it,
    a_quarantined_message_is_kept_once,
    a_message_leaves_quarantine_once,
    quarantine_is_listed_in_order_of_arrival,
    an_admin_of_the_server_finds_messages_for_a_tenant_that_does_not_exist,
    a_tenant_is_added_once,
    a_key_comes_back_as_it_was_made_and_ends_once,
    a_command_runs_once_and_is_answered_again,
    one_generation_answers,
];

async fn advance(db: &Db, from: &Checkpoint, to: &Checkpoint) -> Result<(), MoveError> {
    let mut tx = db.begin_write().await?;
    checkpoint::advance(&mut tx, "timeline", from, to).await?;
    Ok(tx.commit().await?)
}

async fn claim(db: &Db, epoch: i64) -> Result<Checkpoint, MoveError> {
    let mut tx = db.begin_write().await?;
    checkpoint::claim(&mut tx, "timeline", epoch).await?;
    tx.commit().await?;
    Ok(checkpoint::load(db, "timeline").await.unwrap())
}

async fn a_reader_that_never_ran_stands_at_zero(it: TestLog) {
    let db = it.log.db();
    assert_eq!(checkpoint::load(db, "timeline").await.unwrap(), Checkpoint::default());
    let claimed = claim(db, 1).await.unwrap();
    assert_eq!(claimed, Checkpoint { epoch: 1, ..Checkpoint::default() });
}

async fn checkpoints_move_only_from_where_their_reader_left_them(it: TestLog) {
    let db = it.log.db();
    let start = claim(db, 1).await.unwrap();
    let five = Checkpoint {
        position: 5,
        event: Some("/front-desk#k-5".parse().unwrap()),
        epoch: 1,
        detail: Some("{\"seen\":[3]}".to_owned()),
    };
    advance(db, &start, &five).await.unwrap();
    assert_eq!(checkpoint::load(db, "timeline").await.unwrap(), five);

    let astray = advance(db, &start, &Checkpoint { position: 9, ..five.clone() }).await;
    assert!(matches!(astray, Err(MoveError::Elsewhere { .. })), "{astray:?}");
    assert_eq!(checkpoint::load(db, "timeline").await.unwrap(), five);
}

async fn an_old_epoch_cannot_move_a_checkpoint(it: TestLog) {
    let db = it.log.db();
    let sleeper = claim(db, 1).await.unwrap();
    let leader = claim(db, 2).await.unwrap();
    let next = |from: &Checkpoint| Checkpoint { position: 1, ..from.clone() };
    let fenced = advance(db, &sleeper, &next(&sleeper)).await;
    assert!(matches!(fenced, Err(MoveError::Fenced { .. })), "{fenced:?}");
    let fenced = claim(db, 1).await;
    assert!(matches!(fenced, Err(MoveError::Fenced { .. })), "{fenced:?}");
    advance(db, &leader, &next(&leader)).await.unwrap();
    // The same epoch may claim again: a reader that starts over in the same reign.
    assert_eq!(claim(db, 2).await.unwrap().position, 1);
}

async fn a_dropped_transaction_leaves_nothing(it: TestLog) {
    let db = it.log.db();
    let start = claim(db, 1).await.unwrap();
    let mut tx = db.begin_write().await.unwrap();
    let to = Checkpoint { position: 3, ..start.clone() };
    checkpoint::advance(&mut tx, "timeline", &start, &to).await.unwrap();
    drop(tx);
    advance(db, &start, &to).await.unwrap();
}

async fn whoever_goes_away_while_a_transaction_begins_leaves_none_open(it: TestLog) {
    let db = it.log.db();
    // Each goes a little later: before the question is sent, on its way, and with the answer there.
    for steps in 0..200 {
        let mut begin = Box::pin(db.begin_write());
        for _ in 0..steps {
            if futures_util::poll!(&mut begin).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let Db::Postgres { reads, .. } = db else {
        // Here it would hold the lock of the file.
        return drop(db.begin_write().await.unwrap());
    };
    // The server itself ends one that idles for 30 s.
    for _ in 0..100 {
        let idle: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(reads)
        .await
        .unwrap();
        if idle == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a connection of the pool stands in a transaction that nobody will end");
}

async fn a_lease_is_taken_over_only_after_it_expires_and_raises_the_epoch(it: TestLog) {
    let db = it.log.db();
    let now = at(NOW);
    let held = lease::take(db, LEADER, "one", now).await.unwrap().unwrap();
    assert_eq!((held.epoch, held.expires_at), (1, now + LEASE));
    assert_eq!(lease::take(db, LEADER, "two", now + LEASE).await.unwrap(), None);

    let later = now + LEASE / 2;
    let renewed = lease::take(db, LEADER, "one", later).await.unwrap().unwrap();
    assert_eq!((renewed.epoch, renewed.expires_at), (1, later + LEASE));

    let expired = later + LEASE + jiff::SignedDuration::from_micros(1);
    let taken = lease::take(db, LEADER, "two", expired).await.unwrap().unwrap();
    assert_eq!(taken.epoch, 2);
    assert_eq!(lease::take(db, LEADER, "one", expired).await.unwrap(), None);

    lease::release(db, LEADER, "one", expired).await.unwrap();
    assert_eq!(lease::take(db, LEADER, "one", expired).await.unwrap(), None, "it was not theirs");
    lease::release(db, LEADER, "two", expired).await.unwrap();
    assert_eq!(lease::take(db, LEADER, "one", expired).await.unwrap().unwrap().epoch, 3);
    let (holder, epoch, until) = lease::holder(db, LEADER).await.unwrap().unwrap();
    assert_eq!((holder.as_str(), epoch, until), ("one", 3, expired + LEASE));
    assert_eq!(lease::holder(db, "relay").await.unwrap(), None);
}

async fn of_eight_who_reach_for_a_lease_one_holds_it(it: TestLog) {
    let reaching: Vec<_> = (0..8)
        .map(|n| {
            let db = it.log.db().clone();
            tokio::spawn(async move { lease::take(&db, LEADER, &format!("h-{n}"), at(NOW)).await })
        })
        .collect();
    let mut holders = 0;
    for hand in reaching {
        holders += usize::from(hand.await.unwrap().unwrap().is_some());
    }
    assert_eq!(holders, 1);
}

async fn a_quarantined_message_is_kept_once(it: TestLog) {
    let (db, main) = (it.log.db(), main_tenant());
    let bytes = [vec![0xff_u8; 70_000].as_slice(), b"end"].concat();
    let (problem, headers) = (json!({ "code": "json_syntax" }), json!({ "Nats-Msg-Id": "k-1" }));
    let suspect = Suspect {
        tenant: &main,
        code: "json_syntax",
        problem: &problem,
        face: "nats",
        subject: Some("sapa.v1.main.in.interaction.greeted.c-1"),
        provenance: Some(Provenance { incarnation: at(NOW), sequence: 7 }),
        received_at: at(NOW),
        source: Some("/front-desk"),
        event_id: Some("k-1"),
        headers: &headers,
        bytes: &bytes,
    };
    let names = quarantine::keep(db, &[suspect.clone(), suspect.clone()]).await.unwrap();
    // Redelivered after a crash, at another time and with another attempt in its headers.
    let again = Suspect { received_at: at("2026-10-03T15:01:00+07:00"), ..suspect.clone() };
    assert_eq!(quarantine::keep(db, &[again]).await.unwrap(), names[..1]);
    assert_eq!(quarantine::count_open(db).await.unwrap(), [("json_syntax".to_owned(), 1)]);

    let kept = quarantine::get(db, &main, &names[0]).await.unwrap().unwrap();
    assert_eq!(kept.bytes.as_deref(), bytes.get(..65_536));
    assert_eq!((kept.size, kept.received_at), (70_003, at(NOW)));
    assert_eq!((kept.problem, kept.headers), (problem.clone(), headers.clone()));
    assert_eq!((kept.incarnation, kept.sequence), (Some(at(NOW)), Some(7)));
    assert_eq!(kept.sha256.len(), 64);
    let annex = "annex".parse().unwrap();
    assert_eq!(quarantine::get(db, &annex, &names[0]).await.unwrap(), None);

    // The same bytes at another place are another message.
    let next =
        Suspect { provenance: Some(Provenance { incarnation: at(NOW), sequence: 8 }), ..suspect };
    assert_ne!(quarantine::keep(db, &[next]).await.unwrap(), names[..1]);
}

async fn a_message_leaves_quarantine_once(it: TestLog) {
    let (db, main) = (it.log.db(), main_tenant());
    let names = three_suspects(&it).await;
    let of_event = quarantine::of_event(db, &main, "/front-desk", "k-0").await.unwrap();
    assert_eq!(of_event, Some((names[0].clone(), "unknown_type".to_owned())));

    assert!(quarantine::settle(db, &main, &names[0], &Settled::Released(41)).await.unwrap());
    assert!(!quarantine::settle(db, &main, &names[0], &Settled::Discarded("no")).await.unwrap());
    assert!(quarantine::settle(db, &main, &names[1], &Settled::Discarded("spam")).await.unwrap());

    let released = quarantine::get(db, &main, &names[0]).await.unwrap().unwrap();
    assert_eq!((released.state.as_str(), released.position), ("released", Some(41)));
    assert_eq!(released.bytes.as_deref(), Some(&b"0"[..]));
    let discarded = quarantine::get(db, &main, &names[1]).await.unwrap().unwrap();
    assert_eq!((discarded.state.as_str(), discarded.note.as_deref()), ("discarded", Some("spam")));
    assert_eq!(discarded.bytes, None);
    assert_eq!(quarantine::of_event(db, &main, "/front-desk", "k-0").await.unwrap(), None);
    assert_eq!(quarantine::count_open(db).await.unwrap(), [("unknown_type".to_owned(), 1)]);
}

async fn quarantine_is_listed_in_order_of_arrival(it: TestLog) {
    let (db, main) = (it.log.db(), main_tenant());
    let names = three_suspects(&it).await;
    let page_of = async |wanted: Wanted| {
        let page = quarantine::list(db, &main, &wanted, 2).await.unwrap();
        assert!(page.iter().all(|it| it.bytes.is_none()), "a list holds no bytes");
        page.into_iter().map(|it| it.quarantine_id).collect::<Vec<_>>()
    };
    assert_eq!(page_of(Wanted::default()).await, names[..2]);
    let second = quarantine::get(db, &main, &names[1]).await.unwrap().unwrap();
    let after = Some((second.received_at, second.quarantine_id));
    let behind = Wanted { after, ..Wanted::default() };
    assert_eq!(page_of(behind.clone()).await, names[2..]);
    // And the other way, the nearest first.
    assert_eq!(page_of(Wanted { back: true, ..behind }).await, names[..1]);
    let back = Wanted { back: true, ..Wanted::default() };
    assert_eq!(page_of(back).await, [names[2].as_str(), names[1].as_str()]);
    let text = |it: &str| Some(it.to_owned());
    let desk = Wanted {
        code: text("unknown_type"),
        source: text("/front-desk"),
        state: text("open"),
        ..Wanted::default()
    };
    assert_eq!(page_of(desk.clone()).await, names[..2]);
    assert_eq!(page_of(Wanted { source: text("/chat"), ..desk }).await, Vec::<String>::new());
}

async fn an_admin_of_the_server_finds_messages_for_a_tenant_that_does_not_exist(it: TestLog) {
    let (db, main, annex) = (it.log.db(), main_tenant(), "annex".parse().unwrap());
    let profile = |tenant: &events::id::Tenant| Profile {
        tenant: tenant.clone(),
        name: tenant.to_string(),
        zone: "Asia/Jakarta".to_owned(),
        language: Language::Id,
        fingerprint_key: vec![1; 32],
    };
    tenants::add(db, &profile(&annex), at(NOW)).await.unwrap();
    // Three for `main`, which is not there yet, of another fault.
    let names = three_suspects(&it).await;
    let server = Whose { tenant: &annex, with_unknown: true };
    let all = async |whose: Whose<'_>, back: bool| {
        let wanted = Wanted { back, ..Wanted::default() };
        quarantine::list(db, whose, &wanted, 10).await.unwrap().len()
    };
    assert_eq!((all(server, false).await, all(server, true).await), (3, 3));
    assert_eq!(all(Whose::from(&annex), false).await, 0);
    assert!(quarantine::get(db, server, &names[0]).await.unwrap().is_some());
    assert!(quarantine::get(db, &annex, &names[0]).await.unwrap().is_none());
    // Once it is there it looks after its own.
    tenants::add(db, &profile(&main), at(NOW)).await.unwrap();
    assert_eq!(all(server, false).await, 0);
    assert_eq!(all(Whose::from(&main), false).await, 3);
}

async fn three_suspects(it: &TestLog) -> Vec<String> {
    let (main, null) = (main_tenant(), json!({}));
    let mut names = Vec::new();
    for n in 0..3 {
        let bytes = n.to_string();
        let suspect = Suspect {
            tenant: &main,
            code: "unknown_type",
            problem: &null,
            face: "import",
            subject: Some("guests.csv:7"),
            provenance: None,
            received_at: at(NOW) + jiff::SignedDuration::from_secs(n),
            source: Some("/front-desk"),
            event_id: Some(&format!("k-{n}")),
            headers: &null,
            bytes: bytes.as_bytes(),
        };
        names.extend(quarantine::keep(it.log.db(), &[suspect]).await.unwrap());
    }
    names
}

async fn a_tenant_is_added_once(it: TestLog) {
    let db = it.log.db();
    let main = Profile {
        tenant: main_tenant(),
        name: "Rumah Tamu".to_owned(),
        zone: "Asia/Jakarta".to_owned(),
        language: Language::Id,
        fingerprint_key: vec![7; 32],
    };
    let annex =
        Profile { tenant: "annex".parse().unwrap(), language: Language::En, ..main.clone() };
    assert!(tenants::add(db, &main, at(NOW)).await.unwrap());
    assert!(tenants::add(db, &annex, at(NOW)).await.unwrap());
    let renamed = Profile { name: "Other".to_owned(), ..main.clone() };
    assert!(!tenants::add(db, &renamed, at(NOW)).await.unwrap());
    assert_eq!(tenants::list(db).await.unwrap(), [annex, main]);
}

async fn a_key_comes_back_as_it_was_made_and_ends_once(it: TestLog) {
    let (db, main) = (it.log.db(), main_tenant());
    assert!(!keys::any(db).await.unwrap());
    let key = ApiKey {
        key_id: "k7f3q2aa".to_owned(),
        tenant: main.clone(),
        name: "Front desk".to_owned(),
        hash: vec![9; 32],
        scopes: vec!["events:write".to_owned(), "import".to_owned()],
        sources: vec!["/front-desk".parse().unwrap()],
        venues: vec!["aula-kota".parse().unwrap()],
        refuses_unknown_customers: true,
        actor: Some("staff/dewi".parse().unwrap()),
        created_at: at(NOW),
        expires_at: Some(at("2027-10-03T15:00:00.5+07:00")),
        revoked_at: None,
    };
    let bare = ApiKey {
        key_id: "a".to_owned(),
        sources: Vec::new(),
        venues: Vec::new(),
        refuses_unknown_customers: false,
        actor: None,
        expires_at: None,
        ..key.clone()
    };
    keys::add(db, &key).await.unwrap();
    keys::add(db, &bare).await.unwrap();
    assert!(keys::add(db, &key).await.is_err(), "an id is used once");
    assert!(keys::any(db).await.unwrap());
    assert_eq!(keys::get(db, "k7f3q2aa").await.unwrap(), Some(key.clone()));
    assert_eq!(keys::get(db, "nobody").await.unwrap(), None);
    assert_eq!(keys::list(db, &main).await.unwrap(), [bare, key.clone()]);

    let annex = "annex".parse().unwrap();
    assert!(!keys::revoke(db, &annex, "k7f3q2aa", at(NOW)).await.unwrap(), "not theirs");
    assert!(keys::revoke(db, &main, "k7f3q2aa", at(NOW)).await.unwrap());
    assert!(!keys::revoke(db, &main, "k7f3q2aa", at(NOW)).await.unwrap());
    let revoked = keys::get(db, "k7f3q2aa").await.unwrap().unwrap();
    assert_eq!(revoked, ApiKey { revoked_at: Some(at(NOW)), ..key });
}

async fn a_command_runs_once_and_is_answered_again(it: TestLog) {
    let (db, main) = (it.log.db(), main_tenant());
    let begin = async |operation: &str, request: &[u8]| {
        commands::begin(db, &main, operation, "4f1c", request, at(NOW)).await.unwrap()
    };
    assert_eq!(begin("alerts.ack", b"one").await, Earlier::Nothing);
    assert_eq!(begin("alerts.snooze", b"one").await, Earlier::Nothing, "a key per operation");
    let running = Earlier::Running { request: b"one".to_vec(), started_at: at(NOW) };
    assert_eq!(begin("alerts.ack", b"two").await, running);

    commands::finish(db, &main, "alerts.ack", "4f1c", 201, "{\"ok\":true}").await.unwrap();
    let answered = Earlier::Answered {
        request: b"one".to_vec(),
        status: 201,
        answer: "{\"ok\":true}".to_owned(),
    };
    assert_eq!(begin("alerts.ack", b"one").await, answered);
    commands::forget(db, &main, "alerts.ack", "4f1c").await.unwrap();
    assert_eq!(begin("alerts.ack", b"one").await, answered, "an answer is not forgotten");
    commands::forget(db, &main, "alerts.snooze", "4f1c").await.unwrap();
    assert_eq!(begin("alerts.snooze", b"two").await, Earlier::Nothing);
}

async fn one_generation_answers(it: TestLog) {
    let db = it.log.db();
    assert_eq!(generations::live(db, at(NOW)).await.unwrap(), 1);
    assert_eq!(generations::live(db, at(NOW)).await.unwrap(), 1);
    for generation in 2..=4 {
        generations::add(db, generation, "building", at(NOW)).await.unwrap();
    }
    generations::swap(db, 2, 1).await.unwrap();
    generations::mark(db, 3, "failed").await.unwrap();
    generations::swap(db, 4, 1).await.unwrap();
    assert_eq!(generations::live(db, at(NOW)).await.unwrap(), 4);
    let all = generations::list(db).await.unwrap();
    let states: Vec<&str> = all.iter().map(|it| it.state.as_str()).collect();
    assert_eq!(states, ["retired", "previous", "failed", "live"]);
    assert!(all.iter().all(|it| it.created_at == at(NOW)));
}
