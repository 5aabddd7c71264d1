//! What goes back to the broker: acknowledgements, requests for patience, notices.
//!
//! All of it is fire and forget: correctness rests on the ids in the log, an answer that is lost
//! only means that the message comes again.

use std::time::Duration;

use async_nats::{Client, HeaderMap};

use crate::notice::Notice;
use crate::stream::{CONSUMER, STREAM};

/// How long a stopping ingest waits for its last answers to leave the socket.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// A message that was delivered to us and is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) stream_sequence: u64,
    pub(crate) message: async_nats::Message,
}

/// The answers we give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// Recorded.
    Ack,
    /// Still at work: start the waiting time anew.
    Progress,
    /// Give it to the next instance at once.
    Nak,
    /// Never again, for this reason.
    Term(&'a str),
}

/// An answer subject as the server reads it, for a place in the stream: 9 tokens, or 11 and more with
/// domain and account in front of the stream. Spelled like one we have seen, where we have seen one.
fn answer_subject(
    like: Option<&str>,
    stream_sequence: u64,
    consumer_sequence: u64,
) -> Option<String> {
    let plain = format!("$JS.ACK.{STREAM}.{CONSUMER}.1.1.1.1.0");
    let mut tokens: Vec<String> = like.unwrap_or(&plain).split('.').map(str::to_owned).collect();
    let delivered = if tokens.len() < 11 { 4 } else { 6 };
    let values = [1, stream_sequence, consumer_sequence];
    for (token, value) in tokens.get_mut(delivered..delivered + 3)?.iter_mut().zip(values) {
        *token = value.to_string();
    }
    Some(tokens.join("."))
}

/// Sends answers.
#[derive(Clone, Debug)]
pub(crate) struct Answers(Client);

impl Answers {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(crate) async fn give(&self, to: Option<&Taken>, answer: Answer<'_>) {
        let Some(reply) = to.and_then(|it| it.message.reply.clone()) else { return };
        let body = match answer {
            Answer::Ack => "+ACK".into(),
            Answer::Progress => "+WPI".into(),
            Answer::Nak => "-NAK".into(),
            Answer::Term(code) => format!("+TERM {code}").into(),
        };
        if let Err(error) = self.0.publish(reply, body).await {
            tracing::debug!(%error, "an answer to the broker was not sent");
        }
    }

    /// Gives back places of the stream, whether they reached us or not. The server asks of a delivery
    /// number only that it was given out, and passes over what is acknowledged.
    pub(crate) async fn give_back(
        &self,
        like: Option<&str>,
        places: impl Iterator<Item = u64>,
        deliveries: u64,
    ) {
        for place in places {
            let Some(reply) = answer_subject(like, place, deliveries) else { return };
            if let Err(error) = self.0.publish(reply, "-NAK".into()).await {
                tracing::debug!(%error, "an answer to the broker was not sent");
            }
        }
    }

    pub(crate) async fn tell(&self, it: Notice) {
        let mut headers = HeaderMap::new();
        headers.insert("Sapa-Code", it.code.as_str());
        headers.insert("Sapa-Original-Subject", it.original_subject.as_str());
        headers.insert("Sapa-Sequence", it.sequence.to_string().as_str());
        let body = it.body.to_string().into();
        if let Err(error) = self.0.publish_with_headers(it.subject, headers, body).await {
            tracing::debug!(%error, "a quarantine notice was not sent");
        }
    }

    /// Waits until what was sent has left, but not for ever.
    pub(crate) async fn flush(&self) {
        if !matches!(tokio::time::timeout(FLUSH_WAIT, self.0.flush()).await, Ok(Ok(()))) {
            tracing::warn!("the last answers to the broker may be lost; their messages come again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_subject_of_another_place_is_spelled_like_the_last_one() {
        for (like, wanted) in [
            (Some("$JS.ACK.SAPA_IN.ingest.3.6.7.1700.0"), "$JS.ACK.SAPA_IN.ingest.1.8.9.1700.0"),
            (
                Some("$JS.ACK._.ACC.SAPA_IN.ingest.3.6.7.1700.0"),
                "$JS.ACK._.ACC.SAPA_IN.ingest.1.8.9.1700.0",
            ),
            (None, "$JS.ACK.SAPA_IN.ingest.1.8.9.1.0"),
        ] {
            assert_eq!(answer_subject(like, 8, 9).as_deref(), Some(wanted));
        }
        assert_eq!(answer_subject(Some("$JS.ACK.x"), 8, 9), None);
    }
}
