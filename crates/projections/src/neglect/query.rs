//! Clocks and obligations: rows out.

use events::id::{CustomerId, Tenant};
use events::policy::Policies;
use events::problem::Text;
use events::silence::Silence;
use events::spoken::{counted, date};
use events::tier::Tier;
use events::time::spell;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::FromRow;
use store::Log;
use store::error::ReadError;
use store::sql::SqlTime;

use super::clock::Which;
use super::fold::State;
use super::obligation::Obligation;
use super::table::{CLOCKS, OBLIGATIONS};
use crate::dossier::Holder;
use crate::listing::{Listed, Order, Part, Place, Question, Window, page};
use crate::views::Snapshot;

/// What a list of clocks may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `they`, `we` or `owe`; all when absent.
    pub clock: Option<String>,
    /// `ok`, `due_soon`, `overdue`, `suspended`, `resting`, `muted`.
    pub state: Option<String>,
    /// Only this team's.
    pub team: Option<String>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only this tier's.
    pub tier: Option<String>,
    /// Only what is due before.
    pub due_before: Option<Timestamp>,
}

#[derive(Debug, FromRow)]
struct ClockRow {
    holder: String,
    clock: String,
    tier: String,
    owner: Option<String>,
    team: Option<String>,
    days: i64,
    first: String,
    last: String,
    rhythm_days: f64,
    warn_at: SqlTime,
    due_at: SqlTime,
    suspended_until: Option<SqlTime>,
    effective_due_at: SqlTime,
    muted: bool,
    resting: bool,
    because: String,
    policy_version: i64,
}

impl Listed for ClockRow {
    fn holder(&self) -> &str {
        &self.holder
    }

    fn apart(&self) -> [&str; 2] {
        [&self.clock, ""]
    }

    fn place(&self) -> Place {
        let text = |it: &str| Part::Text(it.to_owned());
        vec![Part::Time(self.effective_due_at.0), text(&self.holder), text(&self.clock)]
    }
}

impl ClockRow {
    fn state(&self, now: Timestamp) -> &'static str {
        let effective = self.effective_due_at.0;
        if self.muted {
            "muted"
        } else if self.resting {
            "resting"
        } else if self.due_at.0 < effective && self.warn_at.0 <= now && now < effective {
            "suspended"
        } else if effective <= now {
            "overdue"
        } else if self.warn_at.0 <= now {
            "due_soon"
        } else {
            "ok"
        }
    }

    fn to_json(&self, now: Timestamp, policies: &Policies) -> Value {
        let because: Value = serde_json::from_str(&self.because).unwrap_or_default();
        json!({
            "clock": self.clock,
            "state": self.state(now),
            "count": self.days,
            "first": self.first,
            "last": self.last,
            "rhythm_days": self.rhythm_days,
            "warn_at": spell(self.warn_at.0),
            "due_at": spell(self.due_at.0),
            "suspended_until": self.suspended_until.map(|it| spell(it.0)),
            "effective_due_at": spell(self.effective_due_at.0),
            "sentence": self.sentence(now, policies),
            "because": because,
            "policy_version": self.policy_version,
        })
    }

    /// "Usually every 24 days (3 contacts); last on 13 April; expected by 24 June."
    fn sentence(&self, now: Timestamp, policies: &Policies) -> Text {
        let calendar = &policies.calendar;
        let today = calendar.local_date(now);
        let day = |text: &str| text.parse().map_or_else(|_| Text::default(), |it| date(it, today));
        let last = day(&self.last);
        let by = date(calendar.local_date(self.effective_due_at.0), today);
        let ours = self.clock == "we";
        match (self.days, ours) {
            (0, _) => Text::new(
                format!("Never contacted; first heard of on {}; expected by {}.", last.en, by.en),
                format!(
                    "Belum pernah dihubungi; pertama tercatat {}; ditunggu sampai {}.",
                    last.id, by.id
                ),
            ),
            (1, true) => Text::new(
                format!("One contact, on {}; expected by {}.", last.en, by.en),
                format!("Satu kontak, {}; ditunggu sampai {}.", last.id, by.id),
            ),
            (1, false) => Text::new(
                format!("Heard from them once, on {}; expected by {}.", last.en, by.en),
                format!("Satu kabar dari mereka, {}; ditunggu sampai {}.", last.id, by.id),
            ),
            _ => {
                let usual = self.rhythm(policies, ours);
                let contacts = counted(self.days, "contact", "kontak");
                Text::new(
                    format!(
                        "{} ({}); last on {}; expected by {}.",
                        usual.en, contacts.en, last.en, by.en
                    ),
                    format!(
                        "{} ({}); terakhir {}; ditunggu sampai {}.",
                        usual.id, contacts.id, last.id, by.id
                    ),
                )
            }
        }
    }

    /// How often it usually is, and where policy bounds that, how often it should be.
    fn rhythm(&self, policies: &Policies, ours: bool) -> Text {
        let rule = if ours { &policies.neglect.we } else { &policies.neglect.they };
        let tier = Tier::ALL.into_iter().find(|it| it.name() == self.tier);
        let (Ok(first), Ok(last)) = (self.first.parse(), self.last.parse()) else {
            return Text::default();
        };
        let silence = Silence { count: self.days, first, last };
        let usual = silence.usual(rule).rounded();
        let aim = silence.rhythm(rule, tier.unwrap_or(Tier::Prospect)).rounded();
        let every = counted(usual, "day", "hari");
        if usual == aim {
            return Text::new(
                format!("Usually every {}", every.en),
                format!("Biasanya tiap {}", every.id),
            );
        }
        let (aims, target) =
            if ours { ("we aim at", "target kita") } else { ("we expect", "yang kita harapkan") };
        Text::new(
            format!("Usually every {}; {aims} {aim}", every.en),
            format!("Biasanya tiap {}; {target} {aim}", every.id),
        )
    }
}

#[derive(Debug, FromRow)]
struct ObligationRow {
    holder: String,
    obligation: String,
    opened_by: String,
    opened_at: SqlTime,
    about: Option<String>,
    due_at: Option<SqlTime>,
    warn_at: Option<SqlTime>,
    paused: bool,
    covered_by: Option<String>,
    owner: Option<String>,
    team: Option<String>,
    closed_by: Option<String>,
    closed_at: Option<SqlTime>,
}

impl Listed for ObligationRow {
    fn holder(&self) -> &str {
        &self.holder
    }

    fn apart(&self) -> [&str; 2] {
        [&self.obligation, &self.opened_by]
    }

    fn place(&self) -> Place {
        let text = |it: &str| Part::Text(it.to_owned());
        let due_at = self.due_at.map_or(Timestamp::UNIX_EPOCH, |it| it.0);
        vec![Part::Time(due_at), text(&self.holder), text(&self.opened_by), text(&self.obligation)]
    }
}

impl ObligationRow {
    fn state(&self, now: Timestamp) -> &'static str {
        let past = |at: Option<SqlTime>| at.is_some_and(|it| it.0 < now);
        if self.closed_by.is_some() {
            "closed"
        } else if self.paused {
            "paused"
        } else if self.covered_by.is_some() {
            "covered"
        } else if past(self.due_at) {
            "overdue"
        } else if past(self.warn_at) {
            "due_soon"
        } else {
            "ok"
        }
    }

    fn to_json(&self, now: Timestamp) -> Value {
        json!({
            "obligation": self.obligation,
            "opened_by": self.opened_by,
            "opened_at": spell(self.opened_at.0),
            "about": self.about,
            "due_at": self.due_at.map(|it| spell(it.0)),
            "paused": self.paused,
            "covered_by": self.covered_by,
            "owner": self.owner,
            "closed_by": self.closed_by,
            "closed_at": self.closed_at.map(|it| spell(it.0)),
            "state": self.state(now),
        })
    }
}

impl ClockRow {
    fn of(customer: &CustomerId, state: &State, which: Which, policies: &Policies) -> Option<Self> {
        let clock = state.inputs(which)?.clock(policies);
        let (because, _) = state.because(which);
        Some(Self {
            holder: customer.to_string(),
            clock: which.as_str().to_owned(),
            tier: state.tier.name().to_owned(),
            owner: state.owner.as_ref().map(ToString::to_string),
            team: state.team.as_ref().map(ToString::to_string),
            days: clock.count,
            first: clock.span.first.to_string(),
            last: clock.span.last.to_string(),
            rhythm_days: clock.rhythm.to_f64(),
            warn_at: SqlTime(clock.warn_at),
            due_at: SqlTime(clock.due_at),
            suspended_until: clock.suspended_until.map(SqlTime),
            effective_due_at: SqlTime(clock.effective_due_at),
            muted: clock.muted,
            resting: clock.resting,
            because: crate::rows::text_of(&because),
            policy_version: i64::try_from(policies.neglect.version()).unwrap_or(i64::MAX),
        })
    }
}

impl ObligationRow {
    fn of(customer: &CustomerId, state: &State, it: &Obligation, policies: &Policies) -> Self {
        let covering = state.covered_by(it).and_then(|promise| promise.about.as_ref());
        Self {
            holder: customer.to_string(),
            obligation: it.owed.as_str().to_owned(),
            opened_by: it.opened_by.to_string(),
            opened_at: SqlTime(it.opened_at),
            about: it.about.as_ref().map(ToString::to_string),
            due_at: it.due_at(policies).map(SqlTime),
            warn_at: it.warn_at(policies).map(SqlTime),
            paused: it.is_open() && it.paused_at.is_some(),
            covered_by: covering.map(ToString::to_string),
            owner: it.owner.as_ref().or(state.owner.as_ref()).map(ToString::to_string),
            team: state.team.as_ref().map(ToString::to_string),
            closed_by: it.closed.as_ref().map(|(_, by)| by.to_string()),
            closed_at: it.closed.as_ref().map(|(at, _)| SqlTime(*at)),
        }
    }
}

/// The clocks and obligations of one customer at an instant, under the policies of then.
#[must_use]
pub fn of_customer(
    customer: &CustomerId,
    state: &State,
    policies: &Policies,
    now: Timestamp,
) -> Value {
    let clocks: Vec<Value> = [Which::We, Which::They]
        .into_iter()
        .filter_map(|which| ClockRow::of(customer, state, which, policies))
        .map(|it| it.to_json(now, policies))
        .collect();
    let wanted = state.obligations.iter().filter(|it| it.is_wanted(policies));
    let mut obligations: Vec<ObligationRow> =
        wanted.map(|it| ObligationRow::of(customer, state, it, policies)).collect();
    obligations.sort_by(|a, b| {
        let place =
            |it: &ObligationRow| (it.opened_at, it.opened_by.clone(), it.obligation.clone());
        place(a).cmp(&place(b))
    });
    json!({
        "customer": customer,
        "policy_version": policies.neglect.version(),
        "clocks": clocks,
        "obligations": obligations.iter().map(|it| it.to_json(now)).collect::<Vec<_>>(),
    })
}

const CLOCKS_HEAD: &str = "
    SELECT holder, clock, tier, owner, team, days, first, last, rhythm_days, warn_at, due_at,
           suspended_until, effective_due_at, muted, resting, because, policy_version
      FROM clocks
     WHERE tenant = ";

const BY_CLOCK: Order = Order {
    table: &CLOCKS,
    columns: &["effective_due_at", "holder", "clock"],
    compared: "(effective_due_at, holder, clock)",
    sorted: ["effective_due_at, holder, clock", "effective_due_at DESC, holder DESC, clock DESC"],
    descending: false,
};

const OBLIGATIONS_HEAD: &str = "
    SELECT holder, obligation, opened_by, opened_at, about, due_at, warn_at, paused, covered_by,
           owner, team, closed_by, closed_at
      FROM obligations
     WHERE closed_by IS NULL
       AND covered_by IS NULL
       AND due_at IS NOT NULL
       AND tenant = ";

// One event may open two obligations with the same allowance.
const BY_OBLIGATION: Order = Order {
    table: &OBLIGATIONS,
    columns: &["due_at", "holder", "opened_by", "obligation"],
    compared: "(due_at, holder, opened_by, obligation)",
    sorted: [
        "due_at, holder, opened_by, obligation",
        "due_at DESC, holder DESC, opened_by DESC, obligation DESC",
    ],
    descending: false,
};

/// One page of clock rows over all customers, or of obligations, earliest due first.
pub async fn list(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    wanted: &Wanted,
    now: Timestamp,
    window: &Window,
) -> Result<Vec<(Place, Value)>, ReadError> {
    if wanted.clock.as_deref() == Some("owe") {
        let mut question = Question::new(OBLIGATIONS_HEAD);
        question.value(tenant.as_str());
        narrow(&mut question, wanted);
        if let Some(latest) = wanted.due_before {
            question.sql(" AND due_at < ").value(latest);
        }
        owed_in(&mut question, wanted.state.as_deref(), now);
        let rows: Vec<(Place, ObligationRow)> =
            page(snapshot, log, tenant, &BY_OBLIGATION, window, &question).await?;
        return Ok(rows.into_iter().map(|(place, it)| (place, owed(&it, now))).collect());
    }
    let mut question = Question::new(CLOCKS_HEAD);
    question.value(tenant.as_str());
    question.and(" AND clock = ", wanted.clock.as_deref());
    question.and(" AND tier = ", wanted.tier.as_deref());
    narrow(&mut question, wanted);
    if let Some(latest) = wanted.due_before {
        question.sql(" AND effective_due_at < ").value(latest);
    }
    silent_in(&mut question, wanted.state.as_deref(), now);
    let policies = snapshot.policies_of(tenant).in_force(now);
    let rows: Vec<(Place, ClockRow)> =
        page(snapshot, log, tenant, &BY_CLOCK, window, &question).await?;
    let entry = |(place, it): (Place, ClockRow)| {
        let row = it.to_json(now, &policies);
        let about = json!({
            "customer": it.holder, "tier": it.tier, "owner": it.owner, "team": it.team,
        });
        (place, joined(row, about))
    };
    Ok(rows.into_iter().map(entry).collect())
}

fn narrow(question: &mut Question, wanted: &Wanted) {
    question.and(" AND team = ", wanted.team.as_deref());
    question.and(" AND owner = ", wanted.owner.as_deref());
}

/// A state as conditions on the columns that the folds keep, so that a list never looks at rows it
/// does not return; the partial index serves those that people ask for.
fn silent_in(question: &mut Question, state: Option<&str>, now: Timestamp) {
    const RUNS: &str = " AND NOT muted AND NOT resting";
    match state {
        Some("muted") => question.sql(" AND muted"),
        Some("resting") => question.sql(" AND resting AND NOT muted"),
        Some("overdue") => question.sql(RUNS).sql(" AND effective_due_at <= ").value(now),
        Some("suspended") => {
            question.sql(RUNS).sql(" AND due_at < effective_due_at AND warn_at <= ").value(now);
            question.sql(" AND effective_due_at > ").value(now)
        }
        Some("due_soon") => {
            question.sql(RUNS).sql(" AND due_at >= effective_due_at AND warn_at <= ").value(now);
            question.sql(" AND effective_due_at > ").value(now)
        }
        Some("ok") => {
            question.sql(RUNS).sql(" AND warn_at > ").value(now);
            question.sql(" AND effective_due_at > ").value(now)
        }
        _ => question,
    };
}

/// The same for what is owed.
fn owed_in(question: &mut Question, state: Option<&str>, now: Timestamp) {
    match state {
        Some("overdue") => question.sql(" AND due_at < ").value(now),
        Some("due_soon") => {
            question.sql(" AND due_at >= ").value(now).sql(" AND warn_at < ").value(now)
        }
        Some("ok") => question.sql(" AND warn_at >= ").value(now),
        // The other states are those of clocks.
        Some(_) => question.sql(" AND 1 = 0"),
        None => question,
    };
}

fn owed(it: &ObligationRow, now: Timestamp) -> Value {
    let customer = Holder::stored(&it.holder).as_customer();
    let about = json!({ "clock": "owe", "customer": customer, "team": it.team });
    joined(it.to_json(now), about)
}

fn joined(mut row: Value, more: Value) -> Value {
    if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
        row.extend(more);
    }
    row
}
