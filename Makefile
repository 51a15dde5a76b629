# Ottla's ways in. `make run` and `make test` install what they need; see CONTRIBUTING.md.
.PHONY: run build test test-full check sim record bench clean

PYTHON = /usr/bin/python3

build: ## the node and its tools, in build/
	@tools/build.sh build

run: ## a single node on 127.0.0.1:9092; its first run shows the main job
	@tools/install.sh run
	@[ -e build/ottla ] || echo "Building Ottla (the first time takes up to a minute)."
	@tools/build.sh build -- src/bin/ottla
	@exec $(PYTHON) tools/run.py

test: ## every test that CI runs (under 30 minutes on two cores)
	@tools/install.sh test
	@exec $(PYTHON) tools/test.py test

test-full: ## and everything long
	@tools/install.sh test
	@exec $(PYTHON) tools/test.py full

check: ## the inner loop: build, unit tests, transcripts, layers, format (under a minute)
	@tools/install.sh test
	@exec $(PYTHON) tools/test.py check

sim: ## make sim SEED=n replays one simulation
	@tools/install.sh test
	@tools/build.sh build -Dtests=enabled -- tests/sim/sim
	@exec build/tests/sim/sim --seed $(or $(SEED),1) --verbose

record: ## records the transcripts anew from Apache Kafka
	@tools/install.sh test
	@tools/build.sh build
	@tools/venv.sh
	@exec .cache/venv/bin/python tools/record.py

bench: ## Apache Kafka and Ottla in turn, under the same load; ARGS=--quick tries it out
	@tools/install.sh test
	@tools/build.sh build -- src/bin/ottla bench/first bench/beside bench/floor bench/librdkafka
	@tools/venv.sh
	@exec .cache/venv/bin/python bench/bench.py $(ARGS)

clean:
	@rm -rf build build-asan build-tsan build-fuzz
