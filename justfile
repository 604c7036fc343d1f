# The front door for contributors; each recipe is one `cargo xtask` command, so `just` is a convenience.

# list the recipes
default:
    @just --list

# build the example models and the host, and serve them
run *args:
    cargo xtask serve {{args}}

# build the example models and the test guests
guests:
    cargo xtask guests

# every test
test *args:
    cargo xtask test {{args}}

# the tests whose name contains a text
test-one name:
    cargo xtask test -- {{name}}

# the tests of the Python package; arguments go to pytest
python *args:
    cargo xtask python {{args}}

# formatting and lints
lint:
    cargo xtask lint

# feed the fuzz targets: `just fuzz 600 infer_json`
fuzz *args:
    cargo xtask fuzz {{args}}

# the benchmarks, side by side with their baselines
bench *args:
    cargo xtask bench {{args}}

# the API documentation
docs:
    cargo doc --package wardian --no-deps --open

# what has to pass before a change lands
ci:
    .ci/run
