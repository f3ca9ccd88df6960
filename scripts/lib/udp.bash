# shellcheck shell=bash disable=SC2154 # scripts/bench's variables
# scripts/bench -u: how many packets a second lesson 29 sends and receives in each
# of its modes, and how many iperf3 does. Both send packets of 64 bytes.

udp_bytes=64
udp_header=sender,round,packets_a_second,client_ns,server_ns,lost_percent

# choose_senders: sets chosen to iperf3, if it is installed, and to our modes.
choose_senders() {
    if command -v iperf3 >/dev/null; then
        chosen=(iperf3)
    elif [[ -z ${BENCH_PRIVATE-} ]]; then
        echo "bench: not installed: iperf3" >&2
    fi
    chosen+=(ONE MANY SEGMENT)
}

# measure_senders: prints a header, then a line for each measurement.
measure_senders() {
    local round name said
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    say "$udp_header"
    for ((round = 1; round <= rounds; round++)); do
        for name in "${chosen[@]}"; do
            need_room
            if [[ $name == iperf3 ]]; then
                measure_iperf3
            else
                measure_mode "$name"
            fi
            say "$name,$round,$said"
        done
    done
}

# measure_mode MODE: lesson 29's server and client. Sets said to the rest of the
# line.
measure_mode() {
    # What the last server said must be gone before we wait for this one.
    { : >"$here/server"; } 2>/dev/null || fail_without_room 1
    "${on_first[@]}" build/29-udp-batch serve -m "$1" 0 >>"$here/server" \
        2>"$here/server.err" &
    server=$!
    until_true grep -q listening "$here/server"
    "${on_second[@]}" build/29-udp-batch send -m "$1" -b "$udp_bytes" \
        -d "$seconds" 127.0.0.1 "$(sed -n '1s/.*://p' "$here/server")" \
        >"$here/client" 2>"$here/client.err" || {
        need_room
        fail 1 "$1: the sender has failed: $(head -n 1 "$here/client.err")"
    }
    until_true grep -q cost "$here/server"
    stop_server
    said=$(awk '{ said[FILENAME, $1] = $2 }
        END {
            came = said[ARGV[1], "packets"]
            lost = said[ARGV[1], "lost"]
            printf "%s,%s,%s,%.2f\n", said[ARGV[1], "rate"],
                said[ARGV[2], "cost"], said[ARGV[1], "cost"],
                100 * lost / (came + lost)
        }' "$here/server" "$here/client")
}

# measure_iperf3: the same for iperf3. Its client prints what both sides say: how
# many packets of how many were lost, and in how many of a hundred parts of the
# time each side used the processor.
measure_iperf3() {
    local whole=${seconds%.*} # iperf3 knows no parts of a second
    [[ $seconds == "$whole" ]] || whole=$((whole + 1))
    "${on_first[@]}" iperf3 -s -1 -B 127.0.0.1 -p "$port" >/dev/null 2>&1 &
    server=$!
    until_true listens_or_ended
    "${on_second[@]}" iperf3 -u -V -l "$udp_bytes" -b 0 -t "$whole" \
        -c 127.0.0.1 -p "$port" >"$here/client" || {
        need_room
        fail 1 "iperf3 does not run"
    }
    wait "$server" || true
    server=
    said=$(awk '/ receiver$/ {
            split($3, time, "-")
            for (i = 4; i <= NF; i++)
                if ($i ~ "^[0-9]+/[0-9]+$") split($i, packets, "/")
        }
        /^CPU Utilization/ {
            for (i = 1; i < NF; i++) {
                if ($i == "local/sender") client = $(i + 1) + 0
                if ($i == "remote/receiver") server = $(i + 1) + 0
            }
        }
        END {
            came = packets[2] - packets[1]
            printf "%.0f,%.0f,%.0f,%.2f\n", came / time[2],
                client / 100 * time[2] / packets[2] * 1e9,
                server / 100 * time[2] / came * 1e9,
                100 * packets[1] / packets[2]
        }' "$here/client")
}

# print_senders: the measurements on its standard input as a table of medians.
print_senders() {
    awk -F , -f scripts/lib/median.awk -f scripts/lib/udp.awk
    cat <<'END'

packets/s: packets that came in a second. ratio: to the first, the median of the
rounds (from-to). client, server: processor time a packet, in nanoseconds. lost:
of a hundred packets. All are medians.
END
}
