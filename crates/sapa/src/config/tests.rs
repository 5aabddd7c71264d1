//! What a person is told about a configuration, and which layer wins.

use super::*;

fn with(variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Surroundings { variables: variables.collect(), ..Surroundings::default() }
}

fn refused(from: &Surroundings) -> String {
    Config::load(from, Profile::Service).unwrap_err().to_string()
}

fn with_file(text: &str) -> (tempfile::TempDir, Surroundings) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sapa.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Surroundings { file: Some(path), ..Surroundings::default() })
}

#[test]
fn every_default_is_valid_and_means_what_the_table_says() {
    let config = Config::load(&Surroundings::default(), Profile::Service).unwrap();
    assert_eq!(config.http.addr.to_string(), "127.0.0.1:7272");
    assert_eq!(config.nats.in_max_bytes, 8 << 30);
    assert_eq!(config.nats.mode, NatsMode::Managed);
    assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.nats.default_scopes.len(), 9);
    for (key, value) in config.values() {
        let is_set = value.setting != Setting::Nothing;
        assert_eq!(is_set, !key.default.is_empty(), "{}", key.name);
        if is_set {
            assert_eq!(key.sort.read(&value.setting.to_string()), Ok(value.setting.clone()));
        }
    }
}

#[test]
fn the_demo_has_its_own_folder_and_may_fetch() {
    let config = Config::load(&Surroundings::default(), Profile::Demo).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("./sapa-data/demo"));
    assert!(config.nats.fetch);
    assert_eq!(config.auth_mode, AuthMode::Local);
}

#[test]
fn flags_beat_variables_beat_files_beat_defaults() {
    let (_folder, mut from) = with_file("[http]\naddr = \"127.0.0.1:1\"\nmax_connections = 7\n");
    from.variables.insert("SAPA_HTTP__ADDR".into(), "127.0.0.1:2".into());
    from.variables.insert("SAPA_HTTP__REQUEST_TIMEOUT".into(), "5s".into());
    from.flags.push(("http.addr", "127.0.0.1:3".into(), "--addr"));
    let config = Config::load(&from, Profile::Service).unwrap();
    assert_eq!(config.http.addr.port(), 3);
    assert_eq!(config.http.max_connections, 7);
    assert_eq!(config.http.request_timeout, Duration::from_secs(5));
    let origin = |name| config.origin(name).unwrap().to_string();
    assert_eq!(origin("http.addr"), "flag --addr");
    assert!(origin("http.max_connections").ends_with("sapa.toml:3:1"), "{}", origin("http.addr"));
    assert_eq!(origin("http.request_timeout"), "environment SAPA_HTTP__REQUEST_TIMEOUT");
    assert_eq!(origin("http.rate_per_key"), "default");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
    let (_folder, from) = with_file("tenant = \"main\"\n\n[htpp]\naddr = \"x\"\n");
    let text = refused(&from);
    assert!(text.contains("sapa.toml:3:2: unknown key `htpp`"), "{text}");
    let (_folder, from) = with_file("[http]\n  adr = \"127.0.0.1:1\"\n");
    let text = refused(&from);
    assert!(
        text.contains("sapa.toml:2:3: unknown key `http.adr`; did you mean `http.addr`?"),
        "{text}"
    );
}

#[test]
fn an_unknown_variable_of_ours_is_refused_and_those_of_tests_are_passed_over() {
    let text = refused(&with(&[("SAPA_HTTP__ADR", "x")]));
    assert!(text.starts_with("environment SAPA_HTTP__ADR: unknown variable"), "{text}");
    assert!(text.contains("did you mean `SAPA_HTTP__ADDR`?"), "{text}");
    let fine = [("SAPA_KEY", "k"), ("SAPA_TEST_HOLD", "x"), ("SAPA_SEED", "7"), ("SAPAJUNK", "y")];
    assert!(Config::load(&with(&fine), Profile::Service).is_ok());
}

#[test]
fn a_secret_is_read_from_a_file_and_never_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let path = path.to_str().unwrap();
    let config = Config::load(&with(&[("SAPA_NATS__TOKEN_FILE", path)]), Profile::Service).unwrap();
    assert_eq!(config.nats.login.token.as_deref(), Some("s3cret"));
    let both = with(&[("SAPA_NATS__TOKEN_FILE", path), ("SAPA_NATS__TOKEN", "x")]);
    assert!(refused(&both).contains("set one of the two"));
    // What is no secret has no such variable.
    assert!(refused(&with(&[("SAPA_HTTP__ADDR_FILE", path)])).contains("unknown variable"));
}

#[test]
fn variables_of_others_count_where_ours_say_nothing() {
    let foreign = [("NATS_URL", "nats://a:1"), ("PORT", "81"), ("RUST_LOG", "debug")];
    let config = Config::load(&with(&foreign), Profile::Service).unwrap();
    assert_eq!(config.nats.mode, NatsMode::External);
    assert_eq!(config.http.addr.port(), 81);
    assert_eq!(config.log_level, "debug");
    let both = [("NATS_URL", "nats://a:1"), ("SAPA_NATS__URL", "nats://b:2")];
    let config = Config::load(&with(&both), Profile::Service).unwrap();
    assert_eq!(config.nats.url.as_deref(), Some("nats://b:2"));
}

#[test]
fn a_value_that_breaks_its_rule_names_the_rule_and_the_remedy() {
    for (variable, value, wanted) in [
        ("SAPA_WRITER__BATCH", "513", "is not between 1 and 512"),
        ("SAPA_WRITER__BATCH", "many", "is not a whole number"),
        ("SAPA_NATS__MODE", "manged", "did you mean `managed`?"),
        ("SAPA_SHUTDOWN__GRACE", "10", "is not a duration"),
        ("SAPA_NATS__IN_MAX_BYTES", "8GB", "is not a size"),
        ("SAPA_TENANT", "Main", "write 1 to 32 of a-z"),
        ("SAPA_TIME_ZONE", "Asia/Bogor", "is not a zone"),
        ("SAPA_ROLES", "ingest,apii", "did you mean `api`?"),
        ("SAPA_DATABASE__URL", "mysql://x", "is not the address of a database"),
    ] {
        let text = refused(&with(&[(variable, value)]));
        assert!(text.contains(wanted) && text.contains(variable), "{text}");
    }
}

#[test]
fn a_broken_file_is_refused_with_its_line() {
    let (_folder, from) = with_file("tenant = \"main\"\nlang = \n");
    assert!(refused(&from).contains("sapa.toml:2:"), "{}", refused(&from));
}

#[test]
fn the_local_mode_listens_on_this_machine_only() {
    let open = with(&[("SAPA_HTTP__ADDR", "0.0.0.0:7272"), ("SAPA_AUTH__MODE", "local")]);
    assert!(refused(&open).contains("auth.mode"));
}
