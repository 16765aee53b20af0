//! The whole way on a PostgreSQL in a container, as CI services are: dev up, migrate, status, verify-rls.
//!
//! The image is the official `postgres`, or what CHARTCHEK_DB_TEST_IMAGE names. Without a Docker daemon, or where the
//! official image cannot be pulled, the test says so and counts as not run; with an image named it must run.

use std::process::{Command, Output};
use std::time::{Duration, Instant};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

const SETTING: &str = "CHARTCHEK_DB_TEST_IMAGE";
const PASSWORD: &str = "container password";

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").current_dir(env!("CARGO_MANIFEST_DIR")).args(args).output().unwrap()
}

fn succeed(args: &[&str]) -> String {
    let output = run(args);
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}\n{text}\n{error}");
    assert!(!text.contains(PASSWORD) && !error.contains(PASSWORD), "the password is shown");
    text.into_owned()
}

/// A started server, or `None` where none can be had here and none was asked for.
async fn start() -> Option<ContainerAsync<GenericImage>> {
    let asked = std::env::var(SETTING).ok();
    let image = asked.clone().unwrap_or_else(|| "postgres:15".to_owned());
    let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    let started = GenericImage::new(name, tag)
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .with_startup_timeout(Duration::from_secs(120))
        .start()
        .await;
    match started {
        Ok(container) => Some(container),
        Err(error) if asked.is_some() => panic!("{SETTING}={image} did not start: {error}"),
        Err(error) => {
            not_run("the_whole_way_in_a_container", &format!("no container of {image}: {error}"));
            None
        }
    }
}

/// Says loudly that a test did not run, and counts it as that.
fn not_run(test: &str, why: &str) {
    let why = why.lines().next().unwrap_or_default();
    eprintln!("NOT RUN: {test}: {why}");
    if let Ok(path) = std::env::var("CHARTCHEK_DB_TESTS_NOT_RUN") {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}\t{why}").unwrap();
    }
}

#[tokio::test]
async fn the_whole_way_in_a_container() {
    let Some(container) = start().await else { return };
    let host = container.get_host().await.unwrap();
    let port = container.get_host_port_ipv4(5432.tcp()).await.unwrap();
    let url = format!("postgresql://postgres:container%20password@{host}:{port}/postgres?sslmode=disable");

    // The server says that it is ready before it listens on TCP, and the official image says it twice.
    let started = Instant::now();
    loop {
        let output = run(&["dev", "up", "--stand-in-only", "--force", "--database-url", &url]);
        if output.status.success() {
            break;
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(started.elapsed() < Duration::from_secs(90), "{error}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let migrated = succeed(&["migrate", "--database-url", &url]);
    assert!(migrated.contains("V007__policies"), "{migrated}");
    let again = succeed(&["migrate", "--database-url", &url]);
    assert!(again.contains("nothing to do"), "{again}");
    succeed(&["status", "--exit-code", "--database-url", &url]);
    let verified = succeed(&["verify-rls", "--database-url", &url]);
    assert!(verified.lines().last().unwrap().starts_with("every attempt held on target"), "{verified}");
}
