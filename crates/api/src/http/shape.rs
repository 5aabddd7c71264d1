//! Answers as HTTP responses: status, headers, and the problem document in the caller's language.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use events::problem::{Code, Language, Problem};

use crate::answer::Reply;
use crate::app::App;

/// What an answer says about the request it belongs to.
#[derive(Clone, Debug)]
pub struct Framed {
    /// `Sapa-Request-Id`.
    pub request_id: String,
    /// The language of texts.
    pub language: Language,
    /// The trace it belongs to, from `traceparent`.
    pub trace_id: Option<String>,
}

impl Framed {
    /// Reads the request's head: its own id if it fits, otherwise a new one.
    #[must_use]
    pub fn of(app: &App, headers: &HeaderMap, query: Option<&str>) -> Self {
        let sent = headers.get("sapa-request-id").and_then(|it| it.to_str().ok());
        let fits = |it: &&str| {
            (8..=64).contains(&it.len())
                && it.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'))
        };
        let request_id =
            sent.filter(fits).map_or_else(|| app.ids.new_id().to_string(), str::to_owned);
        Self {
            request_id,
            language: language(headers, query).unwrap_or(app.settings.language),
            trace_id: trace_id(headers.get("traceparent").and_then(|it| it.to_str().ok())),
        }
    }
}

/// The language a request asks for: `?lang=`, then the cookie, then `Accept-Language` (T2).
#[must_use]
pub fn language(headers: &HeaderMap, query: Option<&str>) -> Option<Language> {
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let asked =
        query.into_iter().flat_map(|it| it.split('&')).find_map(|it| it.strip_prefix("lang="));
    let cookie = text(header::COOKIE)
        .into_iter()
        .flat_map(|it| it.split(';'))
        .find_map(|it| it.trim().strip_prefix("sapa_lang="));
    asked
        .and_then(Language::first_of)
        .or_else(|| cookie.and_then(Language::first_of))
        .or_else(|| text(header::ACCEPT_LANGUAGE).and_then(Language::first_of))
}

/// The trace in a `traceparent`.
#[must_use]
pub fn trace_id(traceparent: Option<&str>) -> Option<String> {
    let id = traceparent?.split('-').nth(1)?;
    let fits = id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit());
    fits.then(|| id.to_owned())
}

/// The status of a problem; a version that moved on is 412 when `If-Match` asked.
#[must_use]
pub fn status(problem: &Problem) -> u16 {
    let by_if_match = problem.code == Code::VersionConflict && problem.rule == Some("if_match");
    if by_if_match { 412 } else { problem.code.status() }
}

/// The problem document as text, as every face gives it out.
#[must_use]
pub fn problem_text(app: &App, problem: &Problem, framed: &Framed) -> String {
    let instance = Some(framed.request_id.as_str());
    let mut document = problem.to_json(framed.language, instance, &app.settings.public_url);
    crate::answer::put(&mut document, "status", status(problem));
    if problem.hint.is_none() {
        // Nobody is left without a remedy: the one of the code, where this case has none of its own.
        let remedy = crate::problems::remedy(problem.code);
        crate::answer::put(&mut document, "hint", remedy.in_language(framed.language));
    }
    if let Some(trace) = &framed.trace_id {
        crate::answer::put(&mut document, "trace_id", trace.as_str());
    }
    document.to_string()
}

/// A problem as a response.
#[must_use]
pub fn problem(app: &App, problem: &Problem, framed: &Framed) -> Response<Body> {
    let text = problem_text(app, problem, framed);
    let mut response = Response::new(Body::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status(problem)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, "application/problem+json");
    set(headers, header::CONTENT_LANGUAGE, framed.language.tag());
    if let Some(seconds) = problem.retry_after_seconds {
        set(headers, header::RETRY_AFTER, &seconds.to_string());
    }
    if problem.code == Code::TokenInvalid {
        set(headers, header::WWW_AUTHENTICATE, "Bearer realm=\"sapa\"");
    }
    dress(response, framed)
}

/// The same with the pages around it as `Link` (RFC 8288): the query it was asked with, with another
/// cursor. A reference without a path is to the same address.
#[must_use]
pub fn linked(reply: Reply, query: &str) -> Reply {
    let asked: Vec<&str> =
        query.split('&').filter(|it| !it.is_empty() && !it.starts_with("cursor=")).collect();
    let link = |(cursor, rel): (&Option<String>, &str)| {
        let cursor = cursor.as_ref().map(|it| format!("cursor={it}"))?;
        let query: Vec<&str> = asked.iter().copied().chain([cursor.as_str()]).collect();
        Some(format!("<?{}>; rel=\"{rel}\"", query.join("&")))
    };
    let cursors = [(&reply.cursors.next, "next"), (&reply.cursors.prev, "prev")];
    let links: Vec<String> = cursors.into_iter().filter_map(link).collect();
    if links.is_empty() { reply } else { reply.header("link", links.join(", ")) }
}

/// A reply as a response.
#[must_use]
pub fn reply(reply: Reply, framed: &Framed) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    if reply.status != 204 {
        set(headers, header::CONTENT_TYPE, "application/json; charset=utf-8");
    }
    for (name, value) in reply.headers {
        set(headers, HeaderName::from_static(name), &value);
    }
    dress(response, framed)
}

/// What every answer carries: its request id, and that nobody may keep it.
#[must_use]
pub fn dress(mut response: Response<Body>, framed: &Framed) -> Response<Body> {
    let headers = response.headers_mut();
    set(headers, HeaderName::from_static("sapa-request-id"), &framed.request_id);
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "same-origin");
    response
}

/// Sets a header whose value we made; one that does not fit a header is left out.
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_wins_over_the_cookie_and_the_cookie_over_the_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, "id".parse().unwrap());
        assert_eq!(language(&headers, None), Some(Language::Id));
        headers.insert(header::COOKIE, "a=b; sapa_lang=en".parse().unwrap());
        assert_eq!(language(&headers, None), Some(Language::En));
        assert_eq!(language(&headers, Some("x=1&lang=id")), Some(Language::Id));
    }

    #[test]
    fn a_page_links_to_those_around_it_with_its_own_filters() {
        let cursors = crate::page::Cursors { next: Some("n-1".into()), prev: Some("p".into()) };
        let reply = Reply { cursors, ..Reply::new(200, "{}".to_owned()) };
        let link = |reply: Reply| reply.headers.into_iter().find(|(name, _)| *name == "link");
        assert_eq!(
            link(linked(reply.clone(), "limit=10&cursor=old&topic=booking")).unwrap().1,
            "<?limit=10&topic=booking&cursor=n-1>; rel=\"next\", \
             <?limit=10&topic=booking&cursor=p>; rel=\"prev\""
        );
        assert_eq!(
            link(linked(reply, "")).unwrap().1,
            "<?cursor=n-1>; rel=\"next\", <?cursor=p>; rel=\"prev\""
        );
        assert_eq!(link(linked(Reply::nothing(), "limit=1")), None);
    }

    #[test]
    fn only_a_well_formed_trace_is_told() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(Some(parent)).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(trace_id(Some("00-xyz-1-1")), None);
    }

    #[test]
    fn a_version_conflict_is_412_only_when_if_match_asked() {
        let mut conflict = Problem::of(Code::VersionConflict);
        assert_eq!(status(&conflict), 409);
        conflict.rule = Some("if_match");
        assert_eq!(status(&conflict), 412);
    }
}
