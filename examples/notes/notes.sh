#!/bin/sh
# Stores notes in the database of the model `notes`. In one terminal, in the root of this repository:
#
#   cargo xtask serve
#
# and in another:
#
#   examples/notes/notes.sh add water the ferns
#   examples/notes/notes.sh
#   examples/notes/notes.sh done 1
#   examples/notes/notes.sh delete 1
#
# Stop the server and start it again: the notes are still there.
set -eu

url="${WARDIAN_URL:-http://127.0.0.1:8080}/v2/models/notes/infer"

# Prints a JSON tensor with one element.
tensor() {
    printf '{"name": "%s", "datatype": "%s", "shape": [1], "data": [%s]}' "$1" "$2" "$3"
}

# Prints a text as JSON.
quoted() {
    printf '"%s"' "$(printf '%s' "$*" | sed 's/[\\"]/\\&/g')"
}

ask() {
    curl --silent --show-error "$url" --data-binary "{\"inputs\": [$1]}"
    echo
}

action() {
    tensor action BYTES "$(quoted "$1")"
}

case "${1:-list}" in
    list) ask "" ;;
    add) shift; ask "$(action create), $(tensor text BYTES "$(quoted "$@")")" ;;
    done) ask "$(action complete), $(tensor id INT64 "$2")" ;;
    delete) ask "$(action delete), $(tensor id INT64 "$2")" ;;
    *) echo "usage: $0 [list | add TEXT | done ID | delete ID]" >&2; exit 2 ;;
esac
