#!/usr/bin/env bats
# 36-xray [-al] [-s FILE.svg] [-o FILE] [-t SECONDS] SCENE: what happens in it,
# in the kernel and on the wire.
# Its twin prints less: what an audit hook hears, and the client's line.

load ../lib/common
load ../lib/xray

@test "36-xray lists every call, segment and state of a scene, in one order" {
    lists draw_hello \
        'server>socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC) = 3>CLOSE' \
        'server>setsockopt(3 tcp, SO_REUSEADDR, 1) = 0>CLOSE' \
        'server>bind(3 tcp, 127.0.0.1:PORT) = 0>CLOSE' \
        'server>listen(3 tcp, 128) = 0>LISTEN' \
        'server>getsockname(3 listener) = 0 127.0.0.1:PORT>LISTEN' \
        'server>write(1, "listening on 127.0.0.1:PORT"...) = 29>' \
        'server>accept4(3 listener, SOCK_CLOEXEC) = 4 127.0.0.1:PORT>ESTABLISHED' \
        'client>socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC) = 3>CLOSE' \
        'client>connect(3 tcp, 127.0.0.1:PORT) = 0>ESTABLISHED' \
        'wire>client >> server>SYN' \
        'wire>server >> client>SYN ACK' \
        'wire>client >> server>ACK' \
        'client>send(3 to :PORT, "hello\n") = 6>ESTABLISHED' \
        'wire>client >> server>PSH ACK "hello\n"' \
        'wire>server >> client>ACK' \
        'client>recv(3 to :PORT, 4096) = 6 "hello\n">ESTABLISHED' \
        'server>write(1, "127.0.0.1:PORT connecte"...) = 26>' \
        'server>recv(4 from :PORT, 65536) = 6 "hello\n">ESTABLISHED' \
        'server>send(4 from :PORT, "hello\n") = 6>ESTABLISHED' \
        'wire>server >> client>PSH ACK "hello\n"' \
        'wire>client >> server>ACK' \
        'server>recv(4 from :PORT, 65536) = 0>CLOSE_WAIT' \
        'client>write(1, "hello\n") = 6>' \
        'client>close(3 to :PORT) = 0>FIN_WAIT1' \
        'wire>client >> server>FIN ACK' \
        'client>ends, status 0>' \
        'server>write(1, "127.0.0.1:PORT closed a"...) = 37>' \
        'server>close(4 from :PORT) = 0>' \
        'wire>server >> client>FIN ACK' \
        'wire>client >> server>ACK' \
        'server>accept4(3 listener, SOCK_CLOEXEC) ...>'
}

@test "36-xray draws the same picture each time" {
    local i
    draw_hello
    listed | grep -v $'\tACK$' >"$BATS_TEST_TMPDIR/first"
    for i in 1 2 3 4; do
        draw_hello
        listed | grep -v $'\tACK$' | diff "$BATS_TEST_TMPDIR/first" - >&2
    done
}

# widest: the length of the longest line of the picture, without its foot.
widest() {
    awk '/round trip/ { next } length($0) > most { most = length($0) }
         END { print most }' "$OUT"
}

@test "36-xray draws as wide as the terminal is, from 40 columns to 100" {
    local columns wanted
    for columns in "" 100 1000 80 40 10 none; do
        wanted=$columns
        case $columns in
        "" | 1000) wanted=100 ;;
        10 | none) wanted=40 ;;
        esac
        unset COLUMNS
        [[ -z $columns ]] || export COLUMNS=$columns
        draw < <(hello)
        expect_result 0 ""
        (($(widest) <= wanted && $(widest) > wanted - 10)) ||
            { echo "$columns: $(widest)" >&2 && false; }
        # Whatever does not fit is on the next row, and nothing is lost.
        tr -d ' |#\n' <"$OUT" >"$BATS_TEST_TMPDIR/packed"
        has 'connect(3tcp,127.0.0.1:' "$BATS_TEST_TMPDIR/packed"
        has '...recv=6"hello\n"' "$BATS_TEST_TMPDIR/packed"
    done
}

@test "36-xray draws bars and arrows, in ASCII or in what the locale has" {
    COLUMNS=100 draw < <(hello)
    expect_result 0 ""
    # All lifelines stand below each other, at 10 and 55.
    [[ $(awk '/^#|round trip/ { next } NR > 1 { print substr($0, 10, 1) substr($0, 55, 1) }' \
        "$OUT" | LC_ALL=C sort -u | paste -sd ' ') == "#| |# ||" ]]
    grep -qE '^ +[0-9.]+  \|-+ SYN -+>#$' "$OUT"
    grep -qE '^ +[0-9.]+  \|<-+ SYN ACK -+#$' "$OUT"
    run ! grep -P '[^\x20-\x7e]' "$OUT"
    sed -E 's/[0-9]+\.[0-9]+/T/g; s/:[0-9]+/P/g; s/ +//' "$OUT" >"$BATS_TEST_TMPDIR/ascii"
    LC_ALL=C.UTF-8 COLUMNS=100 draw < <(hello)
    has "───" || skip "this machine has no locale C.UTF-8"
    sed -E 's/│/|/g; s/┃/#/g; s/─/-/g; s/▶/>/g; s/◀/</g
        s/[0-9]+\.[0-9]+/T/g; s/:[0-9]+/P/g; s/ +//' "$OUT" >"$BATS_TEST_TMPDIR/lines"
    # A lone ACK depends on how busy the kernel is.
    diff <(grep -v '[-] ACK [-]' "$BATS_TEST_TMPDIR/ascii") \
        <(grep -v '[-] ACK [-]' "$BATS_TEST_TMPDIR/lines") >&2
}

@test "36-xray draws a call that waits where it begins and where it returns" {
    draw < <(hello)
    expect_equal "rows of accept4" 3 "$(grep -c 'accept4' "$OUT")"
    has "# accept4(3 listener, SOCK_CLOEXEC) ..."
    has "| ... accept4 = 4 127.0.0.1:"
    has "| ... connect = 0"
    has "| ... recv = 6 \"hello\\n\""
    expect_equal "rows of send" 2 "$(grep -c ' send(' "$OUT")"
    has 'client, to :'
    has 'congestion window'
    # In the order of time.
    grep -oE '^ +[0-9.]+' "$OUT" | sort -nc
}

@test "36-xray gives every actor a column, and every segment its ends" {
    draw -l < <(hello ann bob)
    expect_result 0 ""
    has $'wire\tann > server\tSYN'
    has $'wire\tserver > bob\tSYN ACK'
    lacks others
    expect_equal segments 2 \
        "$(grep -c 'PSH ACK.*hello' <(grep 'wire.bob\|server > bob' "$OUT"))"
    draw < <(hello ann bob)
    [[ $(head -n 1 "$OUT") =~ ^\ *ms\ +bob\ +ann\ +server$ ]]
    # From bob past ann to the server, and from the server to ann.
    grep -qE '^ +[0-9.]+  \|-+ SYN -{20,}>#$' "$OUT"
    grep -qE '^ +[0-9.]+  \| {29}\|<-+ SYN ACK -+#$' "$OUT"
}

@test "36-xray draws an image that is small, legible and without a script" {
    local svg=$BATS_TEST_TMPDIR/picture.svg
    draw -s "$svg" < <(hello ann bob)
    expect_result 0 ""
    expect_output --text ''
    (($(wc -c <"$svg") < 60000))
    has '>hello' "$svg" || has 'hello' "$svg"
    has '>ESTABLISHED</text>' "$svg"
    has '>SYN ACK</text>' "$svg"
    has '>bob</text>' "$svg"
    has 'prefers-color-scheme:dark' "$svg"
    run ! grep -iE '<script|href|<foreignObject|on[a-z]+=' "$svg"
    # What means something in XML, and bytes that are no text.
    draw -s "$svg" -c "$traced" say $'<&>"\'\001\377'
    has 'write(1, "&lt;&amp;&gt;\"' "$svg"
    has '\x01\xff\n"' "$svg"
    skip_unless xmllint
    xmllint --noout "$svg" >&2
}

@test "36-xray -o writes the picture to a file, and -s and -l go with it" {
    local file=$BATS_TEST_TMPDIR/picture
    draw -o "$file" -s "$file.svg" -l < <(hello)
    expect_result 0 ""
    expect_output --text ''
    has $'wire\tclient > server\tSYN' "$file"
    has '</svg>' "$file.svg"
    draw -l -s "$file.svg" < <(hello)
    has $'wire\tclient > server\tSYN'
}

# ending WAY FLAGS: lesson 06's scene, ended that way: these segments.
ending() {
    local i
    for i in 1 2 3 4; do
        draw -l <<<"both: $BUILD/06-closing $1 0"
        [[ $(wire) != "$2" ]] || return 0
    done
    expect_equal "$1" "$2" "$(wire)"
}

@test "36-xray shows the five endings of lesson 06 by their flags" {
    local open='c>s:SYN s>c:SYN+ACK c>s:ACK' said='PSH+ACK+"hello"'
    ending in-turn "$open c>s:$said s>c:ACK s>c:FIN+ACK c>s:ACK c>s:FIN+ACK s>c:ACK"
    ending half-close "$open c>s:$said s>c:ACK c>s:FIN+ACK s>c:ACK s>c:$said \
c>s:ACK s>c:FIN+ACK c>s:ACK"
    ending reset "$open s>c:RST+ACK"
    ending unread "$open c>s:$said s>c:ACK s>c:$said c>s:ACK s>c:RST+ACK"
    ending killed "$open c>s:$said s>c:ACK s>c:FIN+ACK c>s:ACK c>s:$said s>c:RST"
}

@test "36-xray shows datagrams, refusals, IPv6, and whom nobody watches" {
    draw -l < <(hello | sed 's/02-tcp-server/03-udp serve/; s/01-tcp-client/03-udp send/')
    has $'wire\tclient > server\tUDP "hello"'
    has $'wire\tserver > client\tUDP "hello"'
    draw -l -c "$BUILD/03-udp" send 127.0.0.1 9 hello
    expect_equal status 1 "$status"
    has $'wire\tothers > program\tICMP 3, 3: port unreachable'
    has 'recv(3 udp to :9, 65507) = -1 ECONNREFUSED'
    draw -l -c "$BUILD/01-tcp-client" 127.0.0.1 9 hello
    expect_equal segments "program>others:SYN others>program:RST+ACK" "$(wire)"
    has $'connect(3 tcp, 127.0.0.1:9) = -1 ECONNREFUSED\tCLOSE'
    draw -l -c "$BUILD/07-timeouts" ::1 9
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    expect_equal segments "program>others:SYN others>program:RST+ACK" "$(wire)"
    has 'connect(3 tcp, [::1]:9) = -1 EINPROGRESS'
}

@test "36-xray shows calls on sockets and what is said, and with -a all" {
    draw -l -c "$traced" say hello exit 7
    expect_result 7 ""
    has $'program\twrite(1, "hello\\n") = 6\t'
    has $'program\tends, status 7\t'
    lacks exit_group
    lacks openat
    draw -a -l -c "$traced" say hello exit 7
    has 'exit_group(7)'
    has 'write(1, "hello\n") = 6'
    # Beyond 24 bytes: dots.
    draw -l -c "$traced" say 1234567890123456789012345
    has '"123456789012345678901234"...) = 26'
}

@test "36-xray gives a command our input and output, and ends as it does" {
    draw -o "$BATS_TEST_TMPDIR/picture" -c "$traced" say hello exit 3
    expect_result 3 ""
    expect_output --text 'hello\n'
    draw -l -c "$traced" catch 10 kill 10 caught 1 kill 15
    expect_result 143 ""
    has $'program\tgets SIGUSR1\t'
    has $'program\tkilled by SIGTERM\t'
    draw -l -c "$BATS_TEST_TMPDIR/nothing"
    expect_result 127 "$BATS_TEST_TMPDIR/nothing: No such file or directory"
    echo hello | bounded "$xray" -l -c cat >"$OUT" 2>/dev/null 3>&-
    has $'program\tread(0, '
    has ' = 6 "hello\n"'
}

@test "36-xray survives whatever its actors do, and leaves nobody behind" {
    local words
    while read -r words; do
        read -ra words <<<"$words"
        draw -l -c "$traced" "${words[@]:1}"
        expect_equal "status of ${words[*]}" "${words[0]}" "$status"
        has program
        none_runs "$traced"
    done <<END
139 kill 11
0 forks 100 socket*1
0 threads 20 socket*2
5 thread exec socket*1 exit 5
4 exec fork 4 vfork socket*1 exit 2
6 orphan 6 socket*3
1 close 1 say hello
0 close 0 close 1 close 2 socket*1
0 stopped socketpair*1
0 doomed doomed
7 catch 5 kill 5 caught 1 exit 7
0 fork 0 kill 9
END
}

@test "36-xray ends a server that ignores SIGTERM" {
    draw -l <<END
server: sh -c 'echo \$\$ >$BATS_TEST_TMPDIR/deaf; exec $traced ignore 15 say "listening on 127.0.0.1:9" hang'
client: $traced say hello
END
    expect_result 0 ""
    has $'client\twrite(1, "hello\\n") = 6\t'
    has $'server\twrite(1, "listening on 127.0.0.1:9"...) = 25\t'
    until_true is_over "$(<"$BATS_TEST_TMPDIR/deaf")"
}

@test "36-xray -t ends what hangs, and says who waits for what, since when" {
    draw -t 0.3 <<END
server: $BUILD/peers/rude serve stall
client: $BUILD/01-tcp-client 127.0.0.1 {port} hello
END
    expect_result 124 "36-xray: the scene did not end in time, and was ended"
    tr '\n' ' ' <"$OUT" >"$BATS_TEST_TMPDIR/joined"
    grep -qE 'client is in recv\(3 to :[0-9]+, 4096\), since [0-9]+\.[0-9]{2} ms; nothing has come to it since [0-9]+\.[0-9]{2} ms \(the picture ends at [23][0-9]{2}\.[0-9]{2} ms\)\. ' "$BATS_TEST_TMPDIR/joined"
    grep -qE '^server is in poll\(.*, since' "$OUT"
    # Who computes for ever is ended too, and who never listens.
    draw -t 0.1 -l <<END
server: $traced spin
client: $traced say hello
END
    expect_equal status 124 "$status"
    lacks client
}

@test "36-xray tells who may not look at the wire, and draws the calls" {
    need_tracing
    need_faults
    hello | sed 's/: /&env -u LD_PRELOAD /' >"$BATS_TEST_TMPDIR/scene"
    try "${faulty[@]}" FAULT_CALL=socket FAULT_ERRNO=1 "$xray" -l "$BATS_TEST_TMPDIR/scene"
    expect_result 0 "36-xray: no segments will be seen: socket AF_PACKET: \
Operation not permitted"
    has $'server\taccept4(3 listener, SOCK_CLOEXEC) = 4 127.0.0.1:'
    lacks wire
}

@test "36-xray says so when the wire can no longer be read" {
    need_tracing
    need_faults
    hello | sed 's/: /&env -u LD_PRELOAD /' >"$BATS_TEST_TMPDIR/scene"
    try "$BUILD/tests/private" "${faulty[@]}" FAULT_CALL=recvmsg FAULT_ERRNO=1 \
        "$xray" -l "$BATS_TEST_TMPDIR/scene"
    expect_result 0 "36-xray: no more segments will be seen: recvmsg AF_PACKET: \
Operation not permitted"
    has $'server\taccept4(3 listener, SOCK_CLOEXEC) = 4 127.0.0.1:'
}

@test "36-xray says so where it may not trace" {
    draw -o "$BATS_TEST_TMPDIR/picture" -c "$xray" -c true
    expect_result 1 "36-xray: ptrace program: Operation not permitted"
}

@test "36-xray ends when it is told to, with all that it traces" {
    local pid tracer signal
    need_tracing
    echo "hang: sh -c 'echo \$\$ >$BATS_TEST_TMPDIR/hangs; exec $traced hang'" \
        >"$BATS_TEST_TMPDIR/scene"
    for signal in INT TERM KILL; do
        : >"$BATS_TEST_TMPDIR/hangs"
        start xray "$BUILD/tests/private" "$xray" "$BATS_TEST_TMPDIR/scene"
        until_true test -s "$BATS_TEST_TMPDIR/hangs"
        pid=$(<"$BATS_TEST_TMPDIR/hangs")
        tracer=$(pid_of xray)
        kill -s "$signal" "$tracer"
        finish xray
        expect_equal "status after SIG$signal" \
            "$((128 + $(kill -l "$signal")))" "$ended"
        until_true is_over "$pid"
    done
    # The command of -c is told in its place.
    for signal in 2 15; do
        start xray "$xray" -o "$BATS_TEST_TMPDIR/picture" \
            -c "$traced" catch "$signal" pid hang caught 1 exit 5
        wait_for xray '[0-9]*'
        stop xray "$signal"
        expect_equal status 5 "$ended"
    done
}

@test "36-xray is no parent to what it has not started" {
    need_tracing
    # The shell that becomes it has a child already, which bounded ends.
    # shellcheck disable=SC2016 # for that shell
    try bash -c 'sleep 9 & exec "$1" -l -c "$2" say hello' - "$xray" "$traced"
    expect_equal status 0 "$status"
    has 'ends, status 0'
}

@test "36-xray slows a scene by less than a second, and 10 leave nothing" {
    local i start
    start=${EPOCHREALTIME/./}
    for i in 1 2 3 4 5 6 7 8 9 10; do
        draw_hello
    done
    ((${EPOCHREALTIME/./} - start < 10000000))
    # A network lives as long as somebody is in it.
    none_runs "$BUILD/02-tcp-server"
    none_runs "$BUILD/01-tcp-client"
    none_runs "$xray"
}

@test "36-xray reads a scene with the ends of lines of another system" {
    draw -l < <(hello | sed 's/$/\r/')
    expect_result 0 ""
    has $'client\tends, status 0'
}

# refuses MESSAGE SCENE: that is what it says of the scene.
refuses() {
    printf '%b' "$2" >"$BATS_TEST_TMPDIR/scene"
    try "$xray" "$BATS_TEST_TMPDIR/scene"
    expect_result 1 "36-xray: $BATS_TEST_TMPDIR/scene: $1"
}

@test "36-xray refuses a scene that is none" {
    local long
    printf -v long '%01020d' 0
    refuses "nobody in it" ""
    refuses "nobody in it" '# a: remark\n\n  \n'
    refuses "it has a NUL byte, so it is not a text" 'a\0b: true\n'
    refuses "a line has more than 65535 bytes" "a: $(printf '%65536s' x)\n"
    refuses "no NAME: COMMAND: hello" 'a: true\nhello\n'
    refuses "no NAME: COMMAND: : true" ': true\n'
    refuses "more than 16 actors" "$(printf 'a: true\\n%.0s' {1..17})"
    refuses "an actor has a name of more than 255 bytes: ${long:0:256}" \
        "${long:0:256}: true\n"
    refuses "the command of a has more than 1018 bytes" "a: ${long:0:1019}\n"
    try "$xray" "$BATS_TEST_TMPDIR/none"
    expect_result 1 "36-xray: $BATS_TEST_TMPDIR/none: No such file or directory"
    try "$xray" "$BATS_TEST_TMPDIR"
    expect_result 1 "36-xray: $BATS_TEST_TMPDIR: Is a directory"
    # As long as may be.
    draw -l <<<"${long:0:255}: true ${long:0:1013}"
    expect_result 0 ""
    for long in a b c d e f g h i j k l m n o p; do
        echo "$long: $traced say $long"
    done >"$BATS_TEST_TMPDIR/many"
    draw -l <"$BATS_TEST_TMPDIR/many"
    expect_result 0 "$(printf \
        '36-xray: %s is not drawn: there is no column left for it\n' \
        g h i j k l m n o p)"
    has $'f\twrite(1, "f\\n")'
}

@test "36-xray refuses wrong arguments, and what it cannot write" {
    local words
    try "$xray" -h
    expect_result 0 ""
    mv "$OUT" "$BATS_TEST_TMPDIR/usage"
    for words in "" "a b" "-x a" "-t" "-c" "-h a"; do
        read -ra words <<<"$words"
        try "$xray" "${words[@]}"
        expect_equal status 2 "$status"
        [[ $errors == *"$(<"$BATS_TEST_TMPDIR/usage")" ]]
    done
    for words in 0 -1 x 1e3 ""; do
        try "$xray" -t "$words" scene
        expect_result 2 "36-xray: not a number of seconds: $words"
    done
    need_tracing
    # shellcheck disable=SC2016 # for that shell
    try bash -c '"$0" "$1" -l -c "$2" close 1 >/dev/full' \
        "$BUILD/tests/private" "$xray" "$traced"
    expect_result 1 "36-xray: standard output: No space left on device"
    draw -o /dev/full -c "$traced" say hello
    expect_result 1 "36-xray: /dev/full: No space left on device"
    draw -s "$BATS_TEST_TMPDIR/none/picture" -c "$traced" say hello
    expect_result 1 "36-xray: $BATS_TEST_TMPDIR/none/picture: No such file or directory"
}

@test "36-xray's twin tells what Python tells of the same scene" {
    skip_unless python3
    printf '%s\n' "server: $BUILD/02-tcp-server 0" \
        "client: $BUILD/01-tcp-client 127.0.0.1 {port} hello" >"$BATS_TEST_TMPDIR/scene"
    cp lessons/01-tcp-client/twin.py "$BATS_TEST_TMPDIR/twin.py"
    try python3 -u lessons/36-xray/twin.py "$BATS_TEST_TMPDIR/scene"
    expect_result 0 ""
    expect_equal told \
        $'socket.__new__ 2 1 0\nsocket.connect (\'127.0.0.1\', PORT)\nhello' \
        "$(sed -E 's/[0-9]{4,5}/PORT/' "$OUT")"
}

@test "36-xray says so if it has no standard output or no standard error" {
    need_tracing
    hello >"$BATS_TEST_TMPDIR/scene"
    try bash -c 'exec "$@" >&-' - "$xray" "$BATS_TEST_TMPDIR/scene"
    expect_result 1 "36-xray: descriptor 1: Bad file descriptor"
    try bash -c 'exec "$@" 2>&-' - "$xray" "$BATS_TEST_TMPDIR/scene"
    expect_result 1 ""
    expect_equal output "" "$(<"$OUT")"
    # The command of -c may lack them, if the picture goes to a file.
    try bash -c 'exec "$@" >&-' - "$xray" -l -o "$BATS_TEST_TMPDIR/list" -c \
        "$BUILD/01-tcp-client" 127.0.0.1 9 hello
    expect_result 1 "01-tcp-client: descriptor 1: Bad file descriptor"
    has $'program\tends, status 1\t' "$BATS_TEST_TMPDIR/list"
}
