# Verbs only. What they do is in the packages.
.PHONY: run test check doc bench bench-check bench-record bench-sweeps bench-queues bench-peers golden soak same-bytes

run: ## Sweep every scenario, compare found with expected, replay one failing seed
	cargo run --release --locked --quiet -- sweep --all --seeds 0..10000

test: ## Every test
	cargo test --workspace --locked

check: ## Lints, format and documentation, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

doc: ## The documentation, in target/doc
	cargo doc --workspace --no-deps --locked

bench: ## The engine beside a hand-written loop, as ratios
	cargo bench --locked --bench ratios

bench-check: ## Fails if an event takes 5 % more instructions than recorded; needs valgrind
	cargo bench --locked --quiet -p snowglobe-sim --bench instructions

bench-record: ## Record the instructions that an event takes now; say in the commit why they changed
	cargo bench --locked --quiet -p snowglobe-sim --bench instructions -- rewrite

bench-sweeps: ## What sweeps and traces cost, beside what they may
	cargo bench --locked --quiet -p snowglobe-check --bench sweeps_and_traces

bench-queues: ## The engine's queue beside others, on the same sequences of operations
	cargo bench --locked --quiet -p snowglobe-sim --bench queues

bench-peers: ## The engine beside its peers, on the same work; downloads and builds them first
	cd benches/peers && cargo run --release --quiet

golden: ## Write the golden traces and pinned figures anew; read the diff before you commit it
	SNOWGLOBE_GOLDEN=rewrite cargo test --locked --test cli --test golden --test minimal_causes --test rpc --test same_bytes --test verdicts

soak: ## 100,000 seeds of every scenario, and 10,000 changed decisions explained
	cargo run --release --locked --quiet -- sweep --all --seeds 0..100000
	cargo test --release --locked --test noninterference -- --ignored

same-bytes: ## The same trace from a debug and a release build, and from two processes
	tests/same_bytes.sh
