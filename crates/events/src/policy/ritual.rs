//! Policy `ritual`: the steps of a good visit, as data.
//!
//! A step is written `action[:detail]`, with `?` in front when it is optional.

use std::collections::BTreeMap;
use std::fmt;

use super::read::{Node, is_slug};

/// One step of a ritual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whether the score asks for it.
    pub required: bool,
    /// The action of the interaction, such as `served`.
    pub action: String,
    /// Its service, manner or farewell; any, if not written.
    pub detail: Option<String>,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.required { "" } else { "?" };
        write!(out, "{mark}{}", self.action)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(out, ":{detail}"))
    }
}

/// The steps of a visit by phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ritual {
    /// Steps of the welcome.
    pub before: Vec<Step>,
    /// Steps of the service.
    pub during: Vec<Step>,
    /// Steps of the farewell.
    pub after: Vec<Step>,
}

/// All rituals by slug.
pub type Rituals = BTreeMap<String, Ritual>;

pub(super) fn ritual(node: &Node<'_>) -> Rituals {
    node.named(is_slug, |ritual| {
        let members = ritual.members();
        let steps = |name| members.get(name).items().iter().map(step).collect::<Vec<_>>();
        let read =
            Ritual { before: steps("before"), during: steps("during"), after: steps("after") };
        let all = [&read.before, &read.during, &read.after].into_iter().flatten();
        if all.filter(|step| step.required).count() == 0 {
            ritual.fault(
                "required",
                "needs at least one step that is not optional",
                "perlu sedikitnya satu langkah yang wajib",
            );
        }
        members.done();
        read
    })
}

fn step(node: &Node<'_>) -> Step {
    let text = node.text();
    let (required, rest) = text.strip_prefix('?').map_or((true, text), |rest| (false, rest));
    let (action, detail) = match rest.split_once(':') {
        Some((action, detail)) => (action, Some(detail)),
        None => (rest, None),
    };
    if !is_slug(action) || detail.is_some_and(|detail| !is_slug(detail)) {
        node.fault(
            "step",
            "must be an action, such as greeted, served:luggage_in or ?recommended",
            "harus sebuah tindakan, misalnya greeted, served:luggage_in, atau ?recommended",
        );
    }
    Step { required, action: action.to_owned(), detail: detail.map(str::to_owned) }
}
