# shellcheck shell=bash disable=SC2034,SC2154 # scripts/bench's variables
# scripts/bench -p: SOCKS proxies. The client, and the server behind the proxy, is
# the peer `socks` of the tests.

proxies="\
33-socks-proxy|lessons/33-socks-proxy|one|build/33-socks-proxy -a 127.0.0.0/8 {port}
microsocks|microsocks|threads|microsocks -i 127.0.0.1 -p {port}"
proxy_header=proxy,round,mib_a_second,proxy_us_a_mib,tunnels,bytes_a_tunnel
proxy_tunnels=1000
proxy_patience=50 # seconds, in which a measurement must have ended
mib_a_second=500 # so many MiB go through the tunnel for each second of -d

# measure_proxies: prints a header, then a line for each measurement.
measure_proxies() {
    local round name bulk tunnels
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    say "$proxy_header"
    for ((round = 1; round <= rounds; round++)); do
        for name in "${chosen[@]}"; do
            need_room
            start_server "$name"
            # If one of these ends, it has said why.
            bulk=$(measure_bulk "$name") || exit 1
            tunnels=$(measure_tunnels "$name") || exit 1
            say "$name,$round,$bulk,$tunnels"
            stop_server
            say_failures
        done
    done
    [[ -z $failed ]]
}

# say_failures: those that note_failure has noted.
say_failures() {
    local failure
    [[ -s $here/failed ]] || return 0
    while IFS= read -r failure; do
        say_failure "$failure"
    done <"$here/failed"
    rm "$here/failed"
}

# socks OPTION...: that peer, to the proxy. A proxy without room for another tunnel
# may let it wait for ever.
socks() {
    "${on_second[@]}" timeout "$proxy_patience" build/peers/socks -q "$@" "$port" \
        127.0.0.1 own x
}

# note_failure WHAT FILE: puts the reason, which is in FILE, where measure_proxies
# finds it.
note_failure() {
    local reason
    need_room
    reason=$(head -n 1 "$2")
    {
        echo "$1: ${reason:-no end after $proxy_patience seconds}" >>"$here/failed"
    } 2>/dev/null || fail_without_room 1
}

# measure_bulk PROXY: as much as it can through one tunnel.
measure_bulk() {
    local before after count
    count=$(awk -v seconds="$seconds" -v each="$mib_a_second" 'BEGIN {
        printf "%.0f", seconds * each + 0.5 }')
    before=$(ticks)
    if ! { socks -b "$count" >"$here/bulk" 2>"$here/bulk.err"; } 2>/dev/null; then
        note_failure "$1, one tunnel" "$here/bulk.err"
        echo "-,-"
        return
    fi
    after=$(ticks)
    awk -v ticks=$((after - before)) -v count="$count" -v hertz="$(getconf CLK_TCK)" \
        '{ printf "%d,%.0f\n", $1, ticks / hertz * 1e6 / count }' "$here/bulk"
}

# ticks: the processor time of the proxy so far, also of threads that have ended.
ticks() {
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$server/stat"
}

# measure_tunnels PROXY: many tunnels at once. When all stand, their memory is read,
# and then a text goes through each of them and back.
measure_tunnels() {
    local before client held=$proxy_tunnels each
    before=$(resident)
    need_room
    mkfifo "$here/go"
    # microsocks ends both halves of a tunnel with one, so here none ends (-k).
    socks -k -c "$proxy_tunnels" <"$here/go" >"$here/tunnels" 2>"$here/tunnels.err" &
    client=$!
    exec 3>"$here/go"
    until_true tunnels_or_ended "$client"
    each=$((($(resident) - before) / proxy_tunnels))
    exec 3>&- # the end of its input: now it goes on
    rm "$here/go"
    if ! wait "$client"; then
        note_failure "$1, $held tunnels" "$here/tunnels.err"
        held=- each=-
    fi
    echo "$held,$each"
}

# tunnels_or_ended PID: what measure_tunnels waits for.
tunnels_or_ended() {
    grep -q '^[0-9]* tunnels' "$here/tunnels" || ! kill -0 "$1" 2>/dev/null
}

# print_proxies: the measurements on its standard input as a table of medians.
print_proxies() {
    awk -F , -f scripts/lib/median.awk -f scripts/lib/proxies.awk
    cat <<END

MiB/s: through one tunnel. ratio: to the first, the median of the rounds (from-to).
proxy: its processor time a MiB, in microseconds. memory: bytes of the proxy's for
each of $proxy_tunnels tunnels at once, or - if they did not all stand.
END
}
