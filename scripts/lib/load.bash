# shellcheck shell=bash disable=SC2154 # scripts/bench's variables
# The load of lesson 26: puts it on one server after the other, and makes a table
# of what it says.

failed= # whether a measurement has failed

# say_failure MESSAGE: a measurement has failed. The others go on, but the script
# ends with status 1.
say_failure() {
    echo "bench: failed: $1" >&2
    failed=1
}

# say LINE: prints it, or ends the script if it cannot be written.
say() {
    printf '%s\n' "$1" 2>/dev/null || need_written $?
}

# write_out: prints the lines of its standard input as they come, likewise.
write_out() {
    local line
    while IFS= read -r line; do
        say "$line"
    done
}

# start_idle SERVER COUNT: connects so many clients that say nothing.
start_idle() {
    { : >"$here/idle"; } 2>/dev/null || fail_without_room 1
    "${on_second[@]}" build/26-load-generator -c "$2" -r 1 -d 86400 \
        "${trust[@]}" 127.0.0.1 "$port" >>"$here/idle" 2>&1 &
    idle=$!
    until_true idle_or_ended
    grep -q '^clients' "$here/idle" || {
        need_room
        fail 1 "$1, $2 idle clients: $(head -n 1 "$here/idle")"
    }
}

# idle_or_ended: what start_idle waits for.
idle_or_ended() {
    grep -q '^clients' "$here/idle" || ! kill -0 "$idle" 2>/dev/null
}

# stop_idle: ends the idle clients, if there are any.
stop_idle() {
    [[ -n $idle ]] || return 0
    kill "$idle" 2>/dev/null || true
    wait "$idle" 2>/dev/null || true
    idle=
}

# resident: the bytes of memory that the server has now.
resident() {
    awk '/^VmRSS:/ { printf "%d", $2 * 1024 }' "/proc/$server/status"
}

# load SERVER CLIENTS BYTES: measures; what lesson 26 says of it is in $here/load.
# A web server has a file of so many bytes, with that number for a name.
load() {
    local -a options=(-c "$2" -d "$seconds" "${trust[@]}")
    local before=0 kind
    if [[ -n $web ]]; then
        options+=(-u "/$3")
    else
        options+=(-s "$3")
    fi
    kind=$(field "$1" 3)
    if [[ $kind == many || $kind == few ]]; then
        before=$(spent)
    else
        options+=(-p "$server")
    fi
    {
        "${on_second[@]}" build/26-load-generator "${options[@]}" 127.0.0.1 \
            "$port" >"$here/load" 2>"$here/load.err"
    } 2>/dev/null || {
        need_room
        say_failure "$1, $2 clients of $3 bytes: $(head -n 1 "$here/load.err")"
    }
    [[ $kind != many && $kind != few ]] || add_server_time "$before"
}

# spent: the microseconds of processor time of the server and its children, also of
# those that have ended.
spent() {
    local -a processes
    sleep 0.2 # the children end with their connections, and are buried
    read -ra processes <<<"$server $(<"/proc/$server/task/$server/children")"
    processes=("${processes[@]/#//proc/}")
    cat "/proc/$server/stat" "${processes[@]/%//schedstat}" | awk '
        NR == 1 { sub(/.*\) /, ""); sum = ($14 + $15) * 10000 }
        NR > 1 { sum += $1 / 1000 }
        END { printf "%d\n", sum }'
}

# add_server_time BEFORE: adds the line that lesson 26 could not print.
add_server_time() {
    local line
    line=$(awk -v spent=$(($(spent) - $1)) -v seconds="$seconds" '
        $1 == "rate" && $2 > 0 {
            printf "server %.2f us a reply\n", spent / ($2 * seconds) }' "$here/load")
    { echo "$line" >>"$here/load"; } 2>/dev/null || fail_without_room 1
}

# said KEY: what the last load said under that name, or "-".
said() {
    awk -v key="$1" '$1 == key { print $2; found = 1 }
        END { if (!found) print "-" }' "$here/load"
}

# measure ROUND CASE SERVER: a line of comma-separated values.
measure() {
    local clients=${2%%x*} bytes=${2#*x} count=0 before=0 memory=- without=-
    [[ $2 != handshakes ]] || { measure_handshakes "$1" "$3" && return; }
    [[ $bytes != *+* ]] || { count=${bytes#*+} && bytes=${bytes%+*}; }
    need_room
    start_server "$3"
    if ((count > 0)); then
        load "$3" "$clients" "$bytes"
        without=$(said rate)
        before=$(resident)
        start_idle "$3" "$count"
        memory=$((($(resident) - before) / count))
    fi
    load "$3" "$clients" "$bytes"
    say "$2,$3,$1,$(said rate),$(said server),$(said load),$(said p50),$(said p99),$(said errors),$memory,$without"
    stop_idle
    stop_server
}

header=case,server,round,requests_a_second,server_us,load_us,p50_us,p99_us,errors,bytes_an_idle_client,requests_a_second_without_idle

# measure_all: prints a header, then a line for each measurement. Fails if one of
# them has failed.
measure_all() {
    local round case name
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    say "$header"
    for case in $cases; do
        for ((round = 1; round <= rounds; round++)); do
            for name in "${chosen[@]}"; do
                can_do "$name" "$case" || continue
                measure "$round" "$case" "$name"
            done
        done
    done
    [[ -z $failed ]]
}

# print_table: the measurements on its standard input as a table.
print_table() {
    awk -F , -f scripts/lib/median.awk -f scripts/lib/bench.awk
    cat <<'END'

req/s: replies a second. ratio: to the first, the median of the rounds (from-to).
server, load: processor time a request, in microseconds. p50, p99: microseconds.
memory: bytes of the server's, for each idle client. idle: req/s with all of
these connected, to req/s without. All are medians.
END
}
