#!/usr/bin/env bats
# What scripts/bench promises: that it measures, and what it prints. How fast
# anything is, it is not for a test to say.

load ../lib/common

setup_file() {
    make --silent build/26-load-generator build/29-udp-batch \
        build/tests/private 3>&-
}

# Python's is the one that is there on each machine that runs these tests.
quick=(scripts/bench -n 1 -d 0.05 -c 2x10 -c 2x10+3)

@test "scripts/bench prints a table, with a ratio and what it costs" {
    skip_unless python3
    run -0 --separate-stderr bounded_for 60 "${quick[@]}" asyncio-protocol \
        asyncio-streams
    grep -qE '^20[0-9]{2}-[0-9-]{5}, Linux .*, [0-9]+ cores, ' <<<"$output"
    grep -qx '2x10' <<<"$output"
    grep -qx '2x10+3' <<<"$output"
    expect_equal rows 4 \
        "$(grep -cE '^asyncio-(protocol|streams) +[0-9]+  [0-9.]+ \([0-9.]+-[0-9.]+\) +[0-9.]+ +[0-9.]+ +[0-9]+ +[0-9]+' <<<"$output")"
    expect_equal "the first, to itself" 2 \
        "$(grep -c '^asyncio-protocol.* 1.00 (1.00-1.00) ' <<<"$output")"
    # With idle clients: bytes for each, and the speed with them to that without.
    expect_equal "with idle clients" 2 \
        "$(grep -cE '^asyncio-.* -?[0-9]+ +[0-9]+[.][0-9]{3}$' <<<"$output")"
}

@test "scripts/bench --csv prints each measurement" {
    skip_unless python3
    run -0 --separate-stderr bounded_for 60 "${quick[@]}" --csv asyncio-protocol
    expect_equal header "case,server,round,requests_a_second,server_us,load_us,\
p50_us,p99_us,errors,bytes_an_idle_client,requests_a_second_without_idle" "${lines[0]}"
    expect_equal lines 3 "${#lines[@]}"
    [[ ${lines[1]} =~ ^2x10,asyncio-protocol,1,[0-9]+(,[0-9.]+){4},0,-,-$ ]]
    [[ ${lines[2]} =~ ^2x10\+3,asyncio-protocol,1,[0-9]+(,[0-9.]+){4},0,-?[0-9]+,[0-9]+$ ]]
}

bounded_for() {
    build/tests/bounded "$@"
}

@test "scripts/bench measures each server that is installed, and says which is not" {
    local name
    run -0 --separate-stderr bounded_for 100 scripts/bench -n 1 -d 0.02 -c 1x1
    for name in 25-epoll-server 22-fork-server 22-prefork 23-thread-server \
        23-pool libuv asyncio-protocol asyncio-streams \
        socketserver socat ncat; do
        [[ $'\n'$output == *$'\n'"$name "* ||
            $stderr == *"bench: not installed: $name"* ]]
    done
}

@test "scripts/bench -t measures over TLS, and what a handshake costs" {
    local line
    skip_unless python3 openssl
    [[ -e build/certs/table ]] || skip "OpenSSL 3 is not installed"
    make --silent build/27-tls-event-loop 3>&-
    run -0 --separate-stderr bounded_for 60 scripts/bench -t --csv -n 1 -d 0.05 \
        -c 2x10 -c 2x10+3 -c handshakes 27-tls-event-loop asyncio-protocol
    expect_equal lines 7 "${#lines[@]}"
    for line in "${lines[@]:1:4}"; do
        [[ $line =~ ^2x10(\+3)?,[0-9a-z-]+,1,[0-9]+(,[0-9.]+){4},0,-?[0-9]*,[0-9-]+$ ]]
    done
    for line in "${lines[@]:5}"; do
        [[ $line =~ ^handshakes,[0-9a-z-]+,1,[1-9][0-9]*,[0-9.]+(,-){6}$ ]]
    done
}

@test "scripts/bench -w measures web servers, and with -t over TLS" {
    local line name
    [[ -e build/certs/table ]] || skip "OpenSSL 3 is not installed"
    make --silent build/32-http-server 3>&-
    run -0 --separate-stderr bounded_for 60 scripts/bench -w -n 1 -d 0.05 \
        -c 2x100 -c 2x300000
    for name in 32-http-server nginx lighttpd http.server; do
        [[ $stderr == *"bench: not installed: $name"* ]] ||
            expect_equal "$name" 2 "$(grep -cE \
                "^$name +[1-9][0-9]*  [0-9.]+ \([0-9.]+-[0-9.]+\) +[0-9.]+ +[0-9.]+ +[0-9]+" \
                <<<"$output")"
    done
    run -0 --separate-stderr bounded_for 60 scripts/bench -w -t --csv -n 1 \
        -d 0.05 -c 2x1000 -c 3x100000
    ((${#lines[@]} >= 3))
    for line in "${lines[@]:1}"; do
        [[ $line =~ ^(2x1000|3x100000),(32-http-server|nginx),1,[1-9][0-9]*(,[0-9.]+){4},0,-,-$ ]]
    done
}

@test "scripts/bench -p measures one tunnel of a proxy, and a thousand" {
    local line
    make --silent build/33-socks-proxy build/peers/socks 3>&-
    run -0 --separate-stderr bounded_for 60 scripts/bench -p -n 1 -d 0.05
    grep -qE '^33-socks-proxy +[1-9][0-9]*  1.00 \(1.00-1.00\) +[0-9]+ +-?[0-9]+$' \
        <<<"$output"
    [[ $stderr == *"bench: not installed: microsocks"* ]] ||
        grep -qE '^microsocks +[1-9][0-9]*  [0-9.]+ \([0-9.-]+\) +[0-9]+ +-?[0-9]+$' \
            <<<"$output"
    run -0 --separate-stderr bounded_for 60 scripts/bench -p --csv -n 2 -d 0.05 33-socks-proxy
    expect_equal header \
        "proxy,round,mib_a_second,proxy_us_a_mib,tunnels,bytes_a_tunnel" \
        "${lines[0]}"
    expect_equal lines 3 "${#lines[@]}"
    for line in "${lines[@]:1}"; do
        [[ $line =~ ^33-socks-proxy,[12],[1-9][0-9]*,[0-9]+,1000,-?[0-9]+$ ]]
    done
}

# with_descriptors COUNT ARGUMENT...: scripts/bench, which may have so many.
with_descriptors() {
    # shellcheck disable=SC2016 # they are the inner shell's
    run -1 --separate-stderr bounded_for 60 bash -c 'ulimit -n "$1" && shift &&
        exec scripts/bench --csv -n 1 -d 0.05 "$@"' - "$@"
}

@test "scripts/bench ends with status 1 when a load fails, and says which" {
    skip_unless python3
    with_descriptors 100 -c 150x10 -c 2x10 asyncio-protocol
    [[ $stderr == "bench: failed: asyncio-protocol, 150 clients of 10 bytes: "*": "* ]]
    [[ ${lines[1]} == 150x10,asyncio-protocol,1,-,* ]]
    # The others are measured all the same.
    [[ ${lines[2]} =~ ^2x10,asyncio-protocol,1,[1-9] ]]
    # Idle clients.
    with_descriptors 100 -c 2x10+200 asyncio-protocol
    [[ $stderr == "bench: asyncio-protocol, 200 idle clients: "*": "* ]]
    # A table says the same.
    run -1 --separate-stderr bounded_for 60 bash -c 'ulimit -n 100 &&
        exec scripts/bench -n 1 -d 0.05 -c 150x10 asyncio-protocol'
    [[ $stderr == "bench: failed: asyncio-protocol, 150 clients"* ]]
    # A proxy that is none, but an echo server.
    make --silent build/25-epoll-server build/peers/socks 3>&-
    mkdir "$BATS_TEST_TMPDIR/bin"
    # shellcheck disable=SC2016 # it is the other script's
    printf '#!/bin/sh\nexec build/25-epoll-server "$4"\n' \
        >"$BATS_TEST_TMPDIR/bin/microsocks"
    chmod +x "$BATS_TEST_TMPDIR/bin/microsocks"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 --separate-stderr bounded_for 60 \
        scripts/bench -p --csv -n 1 -d 0.05 microsocks
    [[ $stderr == "bench: failed: microsocks, one tunnel: "?*"
bench: failed: microsocks, 1000 tunnels: "?* ]]
    expect_equal "what it has measured" microsocks,1,-,-,-,- "${lines[1]}"
}

# on_disk_that_fills COMMAND...: runs it with a TMPDIR of its own, which is full
# soon after the first measurement has begun.
on_disk_that_fills() {
    local disk=$BATS_TEST_TMPDIR/disk
    mkdir -p "$disk"
    # shellcheck disable=SC2016 # expanded by the shell that is started
    run --separate-stderr bounded_for 60 unshare -rm bash -c '
        disk=$1
        mount -t tmpfs -o size=2m none "$disk" && shift || exit
        {
            until compgen -G "$disk/*/server*" || compgen -G "$disk/*/bulk"; do
                sleep 0.02
            done
            while sleep 0.01; do
                cat /dev/zero >>"$disk/full"
            done
        } >/dev/null 2>&1 &
        filler=$!
        trap "kill $filler" EXIT
        TMPDIR=$disk "$@"' - "$disk" "$@"
    expect_equal "status of $*" 1 "$status"
    expect_equal "said by $*" "bench: no room for temporary files in $disk: set \
TMPDIR to a folder that can be written" "$(grep -v 'not installed' <<<"$stderr")"
}

@test "scripts/bench says in one sentence that the disk is full, at any time" {
    local option output_full="bench: standard output cannot be written"
    unshare -rm true 2>/dev/null || skip "no private mounts here"
    make --silent build/25-epoll-server build/22-fork-server \
        build/33-socks-proxy build/peers/socks 3>&-
    on_disk_that_fills scripts/bench -n 50 -d 0.05 -c 5x64 25-epoll-server
    on_disk_that_fills scripts/bench -n 50 -d 0.05 -c 5x64 22-fork-server
    on_disk_that_fills scripts/bench -n 50 -d 0.05 -c 5x64+20 25-epoll-server
    on_disk_that_fills scripts/bench -u -n 50 -d 0.05
    on_disk_that_fills scripts/bench -p -n 50 -d 0.05 33-socks-proxy
    # So it is if the table, or a measurement, has no room.
    for option in --csv -n1; do
        run -1 --separate-stderr bounded_for 60 bash -c '"$@" >/dev/full' - \
            scripts/bench -n 1 -d 0.05 -c 5x64 "$option" 25-epoll-server
        expect_equal "said with $option" "$output_full" "$stderr"
    done
}

@test "scripts/bench -u prints a table of packets, and says if there is no iperf3" {
    local name
    run -0 --separate-stderr bounded_for 60 scripts/bench -u -n 1 -d 0.05
    [[ $stderr == *"bench: not installed: iperf3"* ||
        $output == *$'\n'"iperf3 "* ]]
    for name in ONE MANY SEGMENT; do
        grep -qE "^$name +[0-9]+  [0-9.]+ \([0-9.]+-[0-9.]+\) +[0-9]+ +[0-9]+ +[0-9.]+$" \
            <<<"$output"
    done
    run -0 --separate-stderr bounded_for 60 scripts/bench -u --csv -n 1 -d 0.05
    expect_equal header \
        "sender,round,packets_a_second,client_ns,server_ns,lost_percent" \
        "${lines[0]}"
    for name in "${lines[@]:1}"; do
        [[ $name =~ ^(iperf3|ONE|MANY|SEGMENT),1,[1-9][0-9]*(,[0-9]+){2},[0-9.]+$ ]]
    done
    ((${#lines[@]} >= 4))
}

@test "scripts/bench explains itself, and refuses what it cannot use" {
    local arguments
    local -a wrong
    run -0 scripts/bench -h
    [[ ${lines[0]} == "usage: scripts/bench "* ]]
    run -0 scripts/bench --help
    for arguments in -n "-n 0" "-n x" "-d x" "-d -1" "-c 50" "-c 0x1" "-c 1x" \
        "-c 1x1+" -x nobody --csvs "-u ONE" "-u -c 1x1" "-u -t" \
        "-c handshakes" "-t socat" "-u -w" "-u -p" "-w -c 1x1+1" \
        "-w -t -c handshakes" "-w 25-epoll-server" "-w -t lighttpd" "-p -t" \
        "-p -w" "-p -c 1x1" "-p 25-epoll-server"; do
        read -ra wrong <<<"$arguments"
        run -2 --separate-stderr scripts/bench "${wrong[@]}"
        [[ $stderr == *"usage: scripts/bench "* && -z $output ]]
    done
    # Nothing would be measured.
    for arguments in 0 00.000; do
        run -2 --separate-stderr bounded_for 20 scripts/bench -d "$arguments"
        [[ $stderr == "bench: no seconds: $arguments"$'\n'* ]]
    done
    for arguments in "" " " "1x1 2x2"; do
        run -2 --separate-stderr bounded_for 20 scripts/bench -c "$arguments"
        [[ $stderr == "bench: no case: $arguments"$'\n'* ]]
    done
}

@test "scripts/bench leaves nothing behind when it is interrupted" {
    local pid
    skip_unless python3
    start bench scripts/bench --csv -n 9 -d 5 -c 2x10 asyncio-protocol
    wait_for bench 'case,*'
    stop bench
    ((ended != 0))
}
