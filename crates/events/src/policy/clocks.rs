//! Policies of time: calendar, neglect, obligations.
//!
//! Refuses clocks that could never ring in order: warnings at or after the due date, a least
//! rhythm above the greatest, intervals that are empty or overlap, zones that are not IANA names.

use std::collections::BTreeSet;

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::read::{Node, closest};
use super::{ByTier, DAYS_MAX, HOURS_MAX};
use crate::calendar::{Calendar, DAY_MINUTES, Interval};
use crate::tier::Tier;

/// One clock of silence (section 6.3 of the rules). All figures are days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockPolicy {
    /// Customers of other tiers are muted.
    pub tiers: BTreeSet<Tier>,
    /// The population's gap, which counts as one gap of every customer.
    pub g0_days: i64,
    /// No rhythm is shorter.
    pub rhythm_min_days: i64,
    /// No rhythm is longer, per tier; never below `rhythm_min_days`.
    pub rhythm_max_days: ByTier<i64>,
    /// Due soon this long after a single contact.
    pub first_warn_days: i64,
    /// Overdue this long after a single contact; more than `first_warn_days`.
    pub first_due_days: i64,
}

/// Policy `neglect`: the two clocks of silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neglect {
    /// Reset by what customers do.
    pub they: ClockPolicy,
    /// Reset by what we do in person.
    pub we: ClockPolicy,
    /// `we.suspend_max_days`: plans, promises and bookings suspend our clock at most this long
    /// after the last contact.
    pub suspend_max_days: i64,
    /// `we.rest_after`: our clock rests after this many contacts in a row without an answer.
    pub rest_after: i64,
    /// `we.count_ai`: whether an AI agent's personal contact resets our clock.
    pub count_ai: bool,
}

/// What thanks are owed for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ThanksFor {
    /// A booking that was fulfilled.
    Booking,
    /// A customer sent to us.
    Referral,
    /// Feedback of any kind.
    Feedback,
    /// A purchase; off by default.
    Sale,
}

/// Working hours per severity of a complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BySeverity {
    /// For severity `high`.
    pub high: i64,
    /// For severity `normal`.
    pub normal: i64,
    /// For severity `low`.
    pub low: i64,
}

/// Policy `owe`: allowances of obligations, in working hours unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owe {
    /// For an answer to an inquiry of normal urgency.
    pub answer: i64,
    /// For an answer to an urgent inquiry.
    pub answer_high: i64,
    /// For a decision on a booking request.
    pub decision: i64,
    /// For the first reply to a complaint.
    pub reply: i64,
    /// For the resolution of a complaint; half of it once reopened.
    pub resolution: BySeverity,
    /// For thanks.
    pub thanks: i64,
    /// What thanks are owed for.
    pub thanks_for: BTreeSet<ThanksFor>,
    /// For a call after a low score.
    pub care: i64,
    /// For paying money back.
    pub refund: i64,
    /// Days to tell each customer behind an improvement that it was made.
    pub tell_days: i64,
    /// Per cent of an allowance after which an obligation is due soon.
    pub warn_percent: i64,
}

pub(super) fn calendar(node: &Node<'_>) -> Calendar {
    let members = node.members();
    let (zone, zone_name) = zone(&members.get("zone"));
    let calendar = Calendar {
        zone,
        zone_name,
        working: working(&members.get("working")),
        daytime: interval(&members.get("daytime")).unwrap_or(NO_INTERVAL),
        holidays: members.get("holidays").set(Node::date),
        alert_hour: time(&members.get("alert_hour")),
    };
    members.done();
    calendar
}

/// What is read where an interval is wrong; a body with it is refused.
const NO_INTERVAL: Interval = Interval { from: 0, to: DAY_MINUTES };

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn zone(node: &Node<'_>) -> (TimeZone, String) {
    let name = node.text();
    let known = TimeZone::get(name).ok();
    let found = known.and_then(|zone| zone.iana_name().map(str::to_owned).map(|it| (zone, it)));
    found.unwrap_or_else(|| {
        if !name.is_empty() {
            let hint = "Use Asia/Jakarta (WIB), Asia/Makassar (WITA) or Asia/Jayapura (WIT).";
            node.fault("zone", format!("is not an IANA time zone. {hint}"), "bukan zona waktu IANA; pakai Asia/Jakarta (WIB), Asia/Makassar (WITA), atau Asia/Jayapura (WIT)");
        } else if node.is_present() {
            node.fault("zone", "must be an IANA time zone such as Asia/Jakarta", "harus zona waktu IANA, misalnya Asia/Jakarta");
        }
        (TimeZone::UTC, "UTC".to_owned())
    })
}

/// Working hours under `mon` … `sun` or runs such as `mon-fri`; a day left out is closed.
fn working(node: &Node<'_>) -> [Vec<Interval>; 7] {
    let mut week: [Option<Vec<Interval>>; 7] = Default::default();
    for (name, day) in node.entries() {
        let Some((first, last)) = run_of_days(name) else {
            let known = DAYS.into_iter().chain(["mon-fri", "mon-sat", "mon-sun"]);
            let hint = closest(name, known).unwrap_or("mon-fri");
            day.fault(
                "unknown_field",
                format!("is not a day; write mon to sun or `{hint}`"),
                format!("bukan nama hari; tulis mon sampai sun atau `{hint}`"),
            );
            continue;
        };
        let open = intervals(&day);
        for slot in week.iter_mut().take(last + 1).skip(first) {
            if slot.replace(open.clone()).is_some() {
                day.fault(
                    "duplicate",
                    "names a day that another member names too",
                    "menyebut hari yang sudah disebut anggota lain",
                );
            }
        }
    }
    let week = week.map(Option::unwrap_or_default);
    if node.is_present() && week.iter().all(Vec::is_empty) {
        node.fault(
            "required",
            "has no working hours at all, so no allowance could ever end",
            "tidak punya jam kerja sama sekali, jadi tidak ada tenggat yang dapat berakhir",
        );
    }
    week
}

fn run_of_days(name: &str) -> Option<(usize, usize)> {
    let index = |day: &str| DAYS.iter().position(|known| *known == day);
    match name.split_once('-') {
        None => index(name).map(|day| (day, day)),
        Some((first, last)) => index(first).zip(index(last)).filter(|(a, b)| a < b),
    }
}

fn intervals(node: &Node<'_>) -> Vec<Interval> {
    let mut all: Vec<Interval> = node.items().iter().filter_map(interval).collect();
    all.sort();
    if all.is_sorted_by(|a, b| a.to <= b.from) {
        return all;
    }
    node.fault(
        "interval",
        "has intervals that overlap; join them",
        "memuat rentang yang bertumpuk; gabungkan",
    );
    Vec::new()
}

fn interval(node: &Node<'_>) -> Option<Interval> {
    let text = node.text();
    if text.is_empty() && !node.is_present() {
        return None;
    }
    let found = text.split_once('-').and_then(|(from, to)| minute(from).zip(minute(to)));
    let Some((from, to)) = found else {
        node.fault(
            "interval",
            "must be hours such as 08:00-17:00",
            "harus jam, misalnya 08:00-17:00",
        );
        return None;
    };
    if from >= to {
        node.fault(
            "interval",
            "must end after it begins; over midnight, write two intervals",
            "harus berakhir setelah mulai; lewat tengah malam, tulis dua rentang",
        );
        return None;
    }
    Some(Interval { from, to })
}

/// Minutes after midnight of `HH:MM`, from 00:00 to 24:00.
fn minute(text: &str) -> Option<i16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (i16, i16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MINUTES).then_some(total)
}

fn time(node: &Node<'_>) -> Time {
    let text = node.text();
    let found = minute(text).filter(|total| *total < DAY_MINUTES);
    let parsed = found.and_then(|_| text.parse::<Time>().ok());
    parsed.unwrap_or_else(|| {
        if node.is_present() {
            node.fault(
                "time_invalid",
                "must be a time of day such as 09:00",
                "harus jam, misalnya 09:00",
            );
        }
        Time::midnight()
    })
}

pub(super) fn neglect(node: &Node<'_>) -> Neglect {
    let members = node.members();
    let they_node = members.get("they");
    let they = they_node.members();
    let we_node = members.get("we");
    let we = we_node.members();
    let neglect = Neglect {
        they: clock(&they),
        we: clock(&we),
        suspend_max_days: we.get("suspend_max_days").int(0..=DAYS_MAX),
        rest_after: we.get("rest_after").int(1..=100),
        count_ai: we.get("count_ai").bool(),
    };
    they.done();
    we.done();
    members.done();
    neglect
}

fn clock(members: &super::read::Members<'_>) -> ClockPolicy {
    let rhythm_max = members.get("rhythm_max_days");
    let first_warn = members.get("first_warn_days");
    let clock = ClockPolicy {
        tiers: members.get("tiers").set(super::tier),
        g0_days: members.get("g0_days").int(1..=DAYS_MAX),
        rhythm_min_days: members.get("rhythm_min_days").int(1..=DAYS_MAX),
        rhythm_max_days: ByTier::read(&rhythm_max, 1..=DAYS_MAX),
        first_warn_days: first_warn.int(1..=DAYS_MAX),
        first_due_days: members.get("first_due_days").int(1..=DAYS_MAX),
    };
    if first_warn.is_present() && clock.first_warn_days >= clock.first_due_days {
        first_warn.fault(
            "order",
            "must be less than first_due_days",
            "harus lebih kecil dari first_due_days",
        );
    }
    let least = Tier::ALL.into_iter().map(|tier| *clock.rhythm_max_days.get(tier)).min();
    if rhythm_max.is_present() && least.is_some_and(|least| least < clock.rhythm_min_days) {
        rhythm_max.fault(
            "order",
            "must not be less than rhythm_min_days",
            "tidak boleh lebih kecil dari rhythm_min_days",
        );
    }
    clock
}

pub(super) fn owe(node: &Node<'_>) -> Owe {
    const THANKS_FOR: [(&str, ThanksFor); 4] = [
        ("booking", ThanksFor::Booking),
        ("referral", ThanksFor::Referral),
        ("feedback", ThanksFor::Feedback),
        ("sale", ThanksFor::Sale),
    ];
    let members = node.members();
    let hours = |name| members.get(name).int(1..=HOURS_MAX);
    let resolution = members.get("resolution").members();
    let severity = |name| resolution.get(name).int(1..=HOURS_MAX);
    let owe = Owe {
        answer: hours("answer"),
        answer_high: hours("answer_high"),
        decision: hours("decision"),
        reply: hours("reply"),
        resolution: BySeverity {
            high: severity("high"),
            normal: severity("normal"),
            low: severity("low"),
        },
        thanks: hours("thanks"),
        thanks_for: members.get("thanks_for").set(|item| item.choice(&THANKS_FOR)),
        care: hours("care"),
        refund: hours("refund"),
        tell_days: members.get("tell_days").int(1..=DAYS_MAX),
        warn_percent: members.get("warn_percent").int(1..=99),
    };
    resolution.done();
    members.done();
    owe
}
