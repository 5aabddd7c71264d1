//! Who an admin of the server is, and what naming a tenant does: nothing, or a refusal.

use serde_json::json;

use super::{Server, contacted};
use crate::scope::{Scope, Scopes};

#[tokio::test]
async fn an_admin_of_the_server_makes_keys_of_every_tenant_and_nobody_else_does() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let other = server.key("other", Scopes::of(&[Scope::Admin])).await;
    let made = json!({"name": "boss", "scopes": ["admin"], "tenant": "other"});
    let answer = server.ask("POST", "/v1/keys", &admin, Some(&made)).await;
    assert_eq!((answer.status, &answer.body["tenant"]), (201, &json!("other")), "{}", answer.body);
    let key = answer.body["key"].as_str().unwrap().to_owned();
    let (id, body) = (answer.body["id"].as_str().unwrap(), contacted("k-1", "c-1"));
    assert_eq!(server.ask("POST", "/v1/events", &key, Some(&body)).await.status, 201);
    let own = server.ask("GET", "/v1/customers/c-1", &admin, None).await;
    assert_eq!(own.status, 404, "it was recorded in the tenant of the key");

    let foreign = json!({"name": "boss", "scopes": ["admin"], "tenant": "main"});
    let missing = json!({"name": "boss", "scopes": ["admin"], "tenant": "nobody"});
    for (key, body) in [(&other, &foreign), (&other, &missing), (&admin, &missing)] {
        let answer = server.ask("POST", "/v1/keys", key, Some(body)).await;
        let code = &answer.body["code"];
        assert_eq!((answer.status, code), (404, &json!("tenant_unknown")), "{}", answer.body);
    }
    let keeper = server.key("main", Scopes::of(&[Scope::KeyManage])).await;
    let body = json!({"name": "x", "scopes": ["key:manage"], "tenant": "other"});
    assert_eq!(server.ask("POST", "/v1/keys", &keeper, Some(&body)).await.status, 404);

    let path = format!("/v1/keys/{id}");
    assert_eq!(server.ask("DELETE", &path, &admin, None).await.status, 404);
    let named = format!("{path}?tenant=other");
    assert_eq!(server.ask("DELETE", &named, &admin, None).await.status, 204);
    let listed = server.ask("GET", "/v1/keys?tenant=other", &admin, None).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2, "{}", listed.body);
}

#[tokio::test]
async fn a_tenant_that_is_named_and_is_not_the_keys_is_refused() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let event = contacted("k-1", "c-1");
    for (named, status) in [("main", 201), ("other", 404), ("nobody", 404), ("Not A Tenant", 404)] {
        let headers = [("sapa-tenant", named)];
        let answer = server.ask_with("POST", "/v1/events", &admin, Some(&event), &headers).await;
        assert_eq!(answer.status, status, "{named}: {}", answer.body);
        assert!(!answer.body.to_string().contains("Not A"), "{}", answer.body);
    }
}

#[tokio::test]
async fn an_admin_of_one_tenant_neither_adds_tenants_nor_sees_them_nor_stops_the_read_models() {
    let server = Server::start().await;
    let other = server.key("other", Scopes::of(&[Scope::Admin])).await;
    let answer = server.ask("GET", "/v1/tenants", &other, None).await;
    assert_eq!(answer.body["items"].as_array().unwrap().len(), 1, "{}", answer.body);
    assert_eq!(server.ask("PUT", "/v1/tenants/third", &other, Some(&json!({}))).await.status, 403);
    let paused = server.ask("POST", "/v1/projections/card/pause", &other, Some(&json!({}))).await;
    assert_eq!(paused.status, 403);
    assert_eq!(server.ask("GET", "/v1/projections/card", &other, None).await.status, 200);
    let admin = server.admin().await;
    assert_eq!(server.ask("PUT", "/v1/tenants/third", &admin, Some(&json!({}))).await.status, 201);
}

#[tokio::test]
async fn a_key_that_would_have_ended_already_is_not_made() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for at in ["2026-11-21T09:59:59+07:00", "2026-11-21T10:00:00+07:00"] {
        let body = json!({"name": "x", "set": "publisher", "expires_at": at});
        let answer = server.ask("POST", "/v1/keys", &admin, Some(&body)).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(answer.body["errors"][0]["pointer"], "expires_at");
    }
    let body = json!({"name": "x", "set": "publisher", "expires_at": "2026-11-21T10:00:01+07:00"});
    assert_eq!(server.ask("POST", "/v1/keys", &admin, Some(&body)).await.status, 201);
}

#[tokio::test]
async fn a_policy_begins_now_when_nobody_says_from_when() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let body = json!({"body": {"renegotiate_max": 3, "quote_min_samples": 20}});
    let answer = server.ask("POST", "/v1/policies/promise", &admin, Some(&body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["policy"]["effective_from"], "2026-11-21T03:00:00.000000Z");
}

#[tokio::test]
async fn a_dry_run_of_a_policy_judges_as_the_real_run_and_records_nothing() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (from, max) in [("soon", 3), ("2026-12-01T00:00:00Z", -1)] {
        let mut body = json!({"body": {"renegotiate_max": max, "quote_min_samples": 20}, "effective_from": from});
        let real = server.ask("POST", "/v1/policies/promise", &admin, Some(&body)).await;
        body["dry_run"] = json!(true);
        let dry = server.ask("POST", "/v1/policies/promise", &admin, Some(&body)).await;
        assert_eq!((dry.status, &dry.body["code"]), (real.status, &real.body["code"]));
        assert_eq!(dry.body["errors"], real.body["errors"]);
    }
    let mut body =
        json!({"body": {"renegotiate_max": 3, "quote_min_samples": 20}, "dry_run": true});
    let first = server.ask("POST", "/v1/policies/promise", &admin, Some(&body)).await;
    let again = server.ask("POST", "/v1/policies/promise", &admin, Some(&body)).await;
    assert_eq!((first.status, &first.body), (200, &again.body), "nothing was recorded");
    body.as_object_mut().unwrap().remove("dry_run");
    let real = server.ask("POST", "/v1/policies/promise", &admin, Some(&body)).await;
    for member in ["version", "effective_from", "hash"] {
        assert_eq!(first.body[member], real.body["policy"][member], "{member}");
    }
}

#[tokio::test]
async fn what_is_not_built_says_what_to_use_instead() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for path in ["/v1/complaints", "/v1/complaints/k-1"] {
        let answer = server.ask("GET", path, &admin, None).await;
        assert_eq!((answer.status, &answer.body["code"]), (409, &json!("not_built")));
        assert!(answer.body["hint"].as_str().unwrap().contains("GET /v1/"), "{}", answer.body);
    }
}
