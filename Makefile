# One-line targets; CI runs each, so that none rots.
.PHONY: demo test bench-migrate bench-verify bench-lint build fmt lint docs docs-lints clean

demo:   ## build, and verify ChartChek on a scratch database: migrations, verification, matrix
	cargo run --quiet --locked -- verify-rls

test:   ## all tests, on every engine that this machine has; says what ran where
	tests/run.sh

bench-verify: ## what an attempt of verify-rls costs, beside psql; a release build
	cargo bench --locked --bench verify

build:  ## the release binary
	cargo build --release --locked

fmt:    ## formatting, checked
	cargo fmt --check

lint:   ## clippy, warnings are errors; tests may unwrap and print
	cargo clippy --locked --lib --bins -- --deny warnings
	cargo clippy --locked --tests -- --deny warnings --allow clippy::unwrap_used --allow clippy::expect_used --allow clippy::print_stderr

docs:   ## rustdoc of every item, warnings are errors
	RUSTDOCFLAGS=--deny=warnings cargo doc --locked --no-deps --document-private-items

docs-lints: ## docs/lints.md, from what the lints say of themselves; a test holds it to that
	cargo run --quiet --locked -- explain --lints > docs/lints.md

bench-migrate: build  ## migrate beside its peers, those that benches/install-peers.sh installed; ARGS="--write FILE" keeps the table
	cargo bench --locked --profile dev --bench migrate -- --program $(CURDIR)/target/release/chartchek-db $(ARGS)

bench-lint: build  ## lint of migration files beside squawk, where benches/install-peers.sh installed it
	cargo bench --locked --profile dev --bench lint -- --program $(CURDIR)/target/release/chartchek-db $(ARGS)

clean:  ## what cargo built
	cargo clean
