# What surrounds the blocks of a page. The server is on a free port, and clients that ask for port 8080 reach it there:
# curl by its configuration, everything else by WARDIAN_URL.

# Starts a server as another terminal would, and waits until every model has been tried.
__start() {
    coproc __SERVER { exec wardian serve --listen 127.0.0.1:0 "$@" 2>>"$__OUT/log"; }
    local said
    read -r said <&"${__SERVER[0]}"
    export WARDIAN_URL="${said#listening on }"
    local address="${WARDIAN_URL#http://}"
    echo "$address" >>"$__OUT/addresses"
    for host in localhost 127.0.0.1 HOST; do
        echo "connect-to = $host:8080:$address"
    done >"$CURL_HOME/.curlrc"
    until curl --silent --fail --output /dev/null "$WARDIAN_URL/v2/health/ready"; do sleep 0.05; done
}

__stop() {
    if [ -n "${__SERVER_PID:-}" ]; then
        local server="$__SERVER_PID"
        kill "$server"
        wait "$server" || true
    fi
}

__restart() {
    __stop
    __start "$@"
}

# Also ends what the page has started in the background.
__end() {
    __stop
    kill $(jobs -p) 2>/dev/null || true
}

trap __end EXIT

# Compiles while no other thread wants to run. Guests have this priority too, so those of other tests' servers share the
# cores with a compiler, and are not stopped by it.
if command -v chrt >/dev/null; then
    cargo() { chrt --idle 0 cargo "$@"; }
fi
