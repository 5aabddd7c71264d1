//! A workspace test run builds no program of a package without integration tests. Because this
//! file exists, the fresh `sapa` lies beside the tests, which start servers through it.

#[test]
fn the_program_is_built() {
    assert!(std::path::Path::new(env!("CARGO_BIN_EXE_sapa")).is_file());
}
