//! Who sends: each publisher one event at a time, again and again under the same id until it is
//! answered. What it was told is what the checks hold the log to.

use std::sync::Arc;

use tests::dice::Dice;

/// Publishers into the stream; one more speaks to the log itself, as HTTP does.
pub const INTO_STREAM: usize = 3;
/// Customers that everything is about.
const CUSTOMERS: u64 = 4;

/// What has to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It is recorded; if another content has the id already, it is kept in quarantine.
    Valid,
    /// It is kept in quarantine.
    Broken,
    /// The database refuses its row: it is kept in quarantine too.
    Poison,
}

/// One event to be sent.
#[derive(Clone, Debug)]
pub struct Op {
    pub publisher: usize,
    pub id: String,
    pub sort: Sort,
    pub subject: &'static str,
    pub body: Arc<str>,
    /// What its data is, in the canonical spelling.
    pub data: String,
    /// The log has answered, and with this position.
    pub recorded: Option<i64>,
}

/// A publisher.
#[derive(Debug)]
pub struct Publisher {
    pub number: usize,
    pub source: String,
    /// What is being sent, by its number among all.
    pub current: Option<usize>,
    pub left: u64,
    own: Vec<usize>,
}

pub const CONTACTED: &str = "sapa.v1.main.in.interaction.contacted";
const BOOKED: &str = "sapa.v1.main.in.booking.requested";
const OUTCOMES: [&str; 3] = ["reached", "no_answer", "left_message"];

impl Publisher {
    pub fn new(number: usize, dice: &mut Dice) -> Self {
        let left = 4 + dice.below(6);
        Self { number, source: format!("/p-{number}"), current: None, left, own: Vec::new() }
    }

    pub fn is_done(&self) -> bool {
        self.current.is_none() && self.left == 0
    }

    /// Thinks of the next event.
    pub fn next(&mut self, ops: &mut Vec<Op>, dice: &mut Dice) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let number = self.own.len();
        let fresh = format!("e-{number}");
        let in_stream = self.number < INTO_STREAM;
        let op = match dice.below(100) {
            0..8 if !self.own.is_empty() => {
                // The same once more, as a tablet does that was offline.
                Op { recorded: None, ..ops[self.own[dice.index(number)]].clone() }
            }
            8..14 if in_stream && !self.own.is_empty() => {
                let earlier = &ops[self.own[dice.index(number)]];
                let id = earlier.id.clone();
                let poison = earlier.sort == Sort::Poison;
                self.op(&id, if poison { Sort::Poison } else { Sort::Valid }, dice)
            }
            14..20 if in_stream => {
                let body = ["{ not json", "[]", "", "\u{FEFF}{}"][dice.index(4)];
                let body = format!("{body}{:width$}", "", width = number);
                Op { sort: Sort::Broken, body: body.into(), ..self.op(&fresh, Sort::Broken, dice) }
            }
            20..24 if in_stream => {
                Op { sort: Sort::Broken, subject: BOOKED, ..self.op(&fresh, Sort::Broken, dice) }
            }
            24..27 if in_stream => self.op(&format!("poison-{number}"), Sort::Poison, dice),
            _ => self.op(&fresh, Sort::Valid, dice),
        };
        let index = ops.len();
        ops.push(op);
        self.own.push(index);
        self.current = Some(index);
        Some(index)
    }

    fn op(&self, id: &str, sort: Sort, dice: &mut Dice) -> Op {
        let outcome = OUTCOMES[dice.index(OUTCOMES.len())];
        let customer = dice.below(CUSTOMERS);
        let (hour, source) = (dice.below(24), &self.source);
        // All that makes one content another stands in the data.
        let data = format!(
            r#"{{"outcome":"{outcome}","purpose":"courtesy","text":"{customer} at {hour}"}}"#
        );
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"{source}","subject":"c-{customer}","type":"sapa.interaction.contacted.v1","time":"2026-06-20T{hour:02}:00:00Z","actor":"staff/rudi","channel":"phone","data":{data}}}"#
        );
        Op {
            publisher: self.number,
            id: id.to_owned(),
            sort,
            subject: CONTACTED,
            body: body.into(),
            data,
            recorded: None,
        }
    }
}
