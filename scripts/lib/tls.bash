# shellcheck shell=bash disable=SC2034,SC2154 # scripts/bench's variables
# scripts/bench -t: servers that speak TLS, all with the same certificate, and
# without session tickets. nginx has no echo: its handshakes are measured.

tls_certificate="build/certs/good.pem build/certs/good.key"
tls_servers="\
27-tls-event-loop|lessons/27-tls-event-loop|one|build/27-tls-event-loop {port} $tls_certificate
asyncio-protocol|python3|one|python3 tests/bench/echo.py protocol {port} $tls_certificate
asyncio-streams|python3|one|python3 tests/bench/echo.py streams {port} $tls_certificate
node|node|one|node tests/bench/echo-tls.js {port} $tls_certificate
nginx|nginx|no-echo|nginx -c {conf}"
trust=() # the options with which the load speaks TLS

# choose_tls: for -t.
choose_tls() {
    cases="50x64 50x16384 50x64+10000 handshakes"
    servers=$tls_servers
    trust=(-C build/certs/root.pem)
}

# measure_handshakes ROUND SERVER: a line as measure prints it. Each handshake is
# a connection of its own, one after the other.
measure_handshakes() {
    local before after count whole=${seconds%.*} # openssl knows whole ones only
    [[ $seconds == "$whole" ]] || whole=$((whole + 1))
    start_server "$2"
    before=$(processor_time)
    count=$("${on_second[@]}" openssl s_time -connect "127.0.0.1:$port" -new \
        -time "$whole" -CAfile build/certs/root.pem 2>/dev/null |
        sed -n 's/^\([0-9]*\) connections in .* real seconds.*/\1/p')
    after=$(processor_time)
    stop_server
    ((${count:-0} > 0)) || fail 1 "$2 makes no handshake"
    awk -v count="$count" -v used=$((after - before)) -v whole="$whole" \
        -v line="handshakes,$2,$1" 'BEGIN {
            printf "%s,%.0f,%.2f,-,-,-,-,-,-\n", line, count / whole,
                used / 1000 / count
        }'
}

# processor_time: what the server has used so far, in nanoseconds, all threads.
processor_time() {
    cat "/proc/$server/task"/*/schedstat | awk '{ sum += $1 } END { printf "%d", sum }'
}
