#!/usr/bin/env bats
# 30-dns-client [-s SERVER] [-p PORT] [-t TYPE] [-x] NAME: asks name servers.
#
# Its twin prints less: only how many answers came.
# shellcheck disable=SC2153,SC2154 # the library

load ../lib/common
load ../lib/clock

program=$BUILD/30-dns-client
usage="usage: 30-dns-client [-s SERVER] [-p PORT] [-t TYPE] [-x] NAME"
zone=lessons/30-dns-client/example.zone
no_server="30-dns-client: www.example: no server has answered"
truth="www.example. 60 IN A 192.0.2.7\n"

# serve_zone [TEXT]: a name server for the zone of the lesson, or for this one.
serve_zone() {
    local file=$zone
    if (($# > 0)); then
        file=$BATS_TEST_TMPDIR/zone
        printf '%b' "$1" >"$file"
    fi
    start_server zone "$BUILD/peers/zone" "$file" 0
}

# asks ARGUMENT...: asks the server at PORT.
asks() {
    try "$program" -s 127.0.0.1 -p "$PORT" "$@"
}

# need_settings TEXT: sets settings to what goes before a command, so that TEXT
# is in the place of /etc/resolv.conf. The command has a network of its own.
need_settings() {
    local etc=$BATS_TEST_TMPDIR/etc
    mkdir -p "$etc"
    printf '%b' "$1" >"$etc/resolv.conf"
    settings=("$BUILD/tests/private" -e "$etc")
    [[ -e /etc/resolv.conf ]] || skip "this system has no /etc/resolv.conf"
    "${settings[@]}" true 2>/dev/null ||
        skip "this system allows no private names"
}

# in_private SETTINGS SCRIPT ARGUMENT...: runs the script by bash there. In it,
# `serve COMMAND...` starts a server, and `ask ARGUMENT...` our client with port
# 5300.
in_private() {
    need_settings "$1"
    local script=$2
    shift 2
    # shellcheck disable=SC2016 # for the other shell
    SECONDS_ALLOWED=20 try "${settings[@]}" bash -c '
        build=$1 fifo=$2/fifo
        shift 2
        servers=
        trap "kill \$servers 2>/dev/null; wait" EXIT
        serve() {
            local line
            rm -f "$fifo"
            mkfifo "$fifo"
            "$@" >"$fifo" &
            servers+=" $!"
            exec 4<"$fifo"
            read -r line <&4
        }
        ask() {
            "$build/30-dns-client" -p 5300 "$@"
        }
        '"$script" - "$BUILD" "$BATS_TEST_TMPDIR" "$@"
}

# timed_in_private ARGUMENT...: the same, and sets took, as `timed` does.
timed_in_private() {
    local began
    look_at_clock
    began=$now
    in_private "$@"
    look_at_clock
    took=$((now - began))
}

# meets FACE STATUS ERRORS OUTPUT: that is what the client makes of a rude-dns.
# In ERRORS, @ stands for the server's address.
meets() {
    local said
    start_server peer "$BUILD/peers/rude-dns" -d 20 "$1" 0
    asks www.example
    said=${errors//127.0.0.1:$PORT/@}
    [[ $status == "$2" && $said == "$3" ]] ||
        fail "the end with $1 is not what it should be" \
            --show "$(printf 'Expected: status %s, %q\n     Got: status %s, %q' \
                "$2" "$3" "$status" "$said")"
    expect_output --text "$4"
    stop peer
}

# twice FACE SENTENCE: both times, that is why the server has not answered.
twice() {
    meets "$1" 1 "30-dns-client: $2"$'\n'"30-dns-client: $2"$'\n'"$no_server" ""
}

@test "30-dns-client prints the records of each type as a zone file has them" {
    local type name data
    serve_zone
    while read -r name type data; do
        asks -t "$type" "$name"
        expect_result 0 ""
        expect_output --text "${data//|/\\n}\n"
    done <<'END'
web.example A web.example. 300 IN A 192.0.2.7|web.example. 300 IN A 192.0.2.8
web.example AAAA web.example. 300 IN AAAA 2001:db8::7
example NS example. 3600 IN NS ns.example.
example MX example. 3600 IN MX 10 mail.example.|example. 3600 IN MX 20 spare.example.
example TXT example. 600 IN TXT "a text" "and another one"
example. SOA example. 3600 IN SOA ns.example. admin.example. 7 7200 900 604800 300
_chat._tcp.example SRV _chat._tcp.example. 300 IN SRV 0 5 8024 web.example.
7.2.0.192.in-addr.arpa PTR 7.2.0.192.in-addr.arpa. 300 IN PTR web.example.
www.example CNAME www.example. 60 IN CNAME web.example.
www.example A www.example. 60 IN CNAME web.example.|web.example. 300 IN A 192.0.2.7|web.example. 300 IN A 192.0.2.8
WWW.Example aaaa WWW.Example. 60 IN CNAME web.example.|web.example. 300 IN AAAA 2001:db8::7
example TYPE15 example. 3600 IN MX 10 mail.example.|example. 3600 IN MX 20 spare.example.
END
    asks web.example
    expect_output --text \
        'web.example. 300 IN A 192.0.2.7\nweb.example. 300 IN A 192.0.2.8\n'
}

@test "30-dns-client sends the question that the text shows" {
    start_server zone "$BUILD/peers/zone" -b "$zone" 0
    asks www.example
    expect_result 0 ""
    # The id is another one each time.
    expect_equal "the question" "01 00 00 01 00 00 00 00 00 01 03 77 77 77
  16  07 65 78 61 6d 70 6c 65 00 00 01 00 01 00 00 29
  32  04 d0 00 00 00 00 00 00" \
        "$(sed -n '4s/^   0  .. .. //; 4,6p' "$BATS_TEST_TMPDIR/zone.out" |
            sed -E 's/   *[^ ]*$//')"
    says zone "reply, 108 bytes:"
}

@test "30-dns-client -x asks for the name of an address" {
    local six=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2
    serve_zone "7.2.0.192.in-addr.arpa 5 PTR web.example
$six.ip6.arpa 5 PTR six.example\n"
    asks -x 192.0.2.7
    expect_result 0 ""
    expect_output --text '7.2.0.192.in-addr.arpa. 5 IN PTR web.example.\n'
    asks -x 2001:db8::1
    expect_result 0 ""
    expect_output --text "$six.ip6.arpa. 5 IN PTR six.example.\n"
    asks -x 192.0.2.8
    expect_result 1 "30-dns-client: there is no name 8.2.0.192.in-addr.arpa."
    asks -x -t A 192.0.2.7
    expect_result 1 "30-dns-client: 7.2.0.192.in-addr.arpa. has no A record"
}

@test "30-dns-client says whether there is no such name, or no such record" {
    serve_zone
    asks -t AAAA mail.example
    expect_result 1 "30-dns-client: mail.example. has no AAAA record"
    expect_output --text ''
    asks -t AAAA letters.example
    expect_result 1 "30-dns-client: there is no name letters.example."
    expect_output --text ''
    asks -t TYPE65280 mail.example
    expect_result 1 "30-dns-client: mail.example. has no TYPE65280 record"
    stop zone
    serve_zone 'a.example 5 CNAME nowhere.example\nb.example 5 CNAME c.example
c.example 5 A 192.0.2.1\n'
    asks a.example
    expect_result 1 "30-dns-client: there is no name nowhere.example."
    expect_output --text 'a.example. 5 IN CNAME nowhere.example.\n'
    asks -t MX b.example
    expect_result 1 "30-dns-client: c.example. has no MX record"
    expect_output --text 'b.example. 5 IN CNAME c.example.\n'
}

@test "30-dns-client follows 16 aliases, and no more" {
    local i text='' wanted=''
    for ((i = 1; i <= 17; i++)); do
        text+="a$i 5 CNAME a$((i + 1))\n"
        ((i == 1)) || wanted+="a$i. 5 IN CNAME a$((i + 1)).\n"
    done
    serve_zone "${text}a18 5 A 192.0.2.1\n"
    asks a2
    expect_result 0 ""
    expect_output --text "${wanted}a18. 5 IN A 192.0.2.1\n"
    asks a1
    expect_result 1 "30-dns-client: over 16 aliases follow each other"
    expect_output --text "a1. 5 IN CNAME a2.\n$wanted"
    stop zone
    serve_zone
    asks here.example
    expect_result 1 "30-dns-client: over 16 aliases follow each other"
}

@test "30-dns-client asks again over TCP when the reply is cut" {
    local i wanted=''
    serve_zone
    for ((i = 1; i <= 100; i++)); do
        wanted+="many.example. 60 IN A 198.51.100.$i\n"
    done
    asks many.example
    expect_result 0 ""
    expect_output --text "$wanted"
    expect_lines zone "listening on *" "A many.example. over UDP" \
        "A many.example. over TCP"
}

@test "30-dns-client writes names so that they can be read again" {
    local label
    serve_zone 'a\\.b.example 5 A 192.0.2.1
c\\009\\255.example 5 CNAME d\\"\\;.example\nd\\"\\;.example 5 A 192.0.2.2\n'
    asks 'a\.b.example'
    expect_result 0 ""
    expect_output --text 'a\\.b.example. 5 IN A 192.0.2.1\n'
    asks 'c\009\255.example'
    expect_result 0 ""
    expect_output --text 'c\\009\\255.example. 5 IN CNAME d\\"\\;.example.
d\\"\\;.example. 5 IN A 192.0.2.2\n'
    asks .
    expect_result 1 "30-dns-client: there is no name ."
    # The longest name, and one that is longer.
    printf -v label 'x%.0s' {1..63}
    asks "$label.$label.$label.${label:2}"
    expect_result 1 "30-dns-client: there is no name \
$label.$label.$label.${label:2}."
    asks "$label.$label.$label.${label:1}"
    expect_result 1 "30-dns-client: $label.$label.$label.${label:1} is too long \
for a name"
    asks "x$label"
    expect_result 1 "30-dns-client: x$label is too long for a name"
}

@test "30-dns-client waits for the true reply when a false one comes first" {
    local face
    for face in wrong-id wrong-ids wrong-name longer-name wrong-type \
        wrong-class question operation empty one-byte eleven-bytes \
        header-alone cut-question no-question two-questions \
        pointer-in-question refused-with-wrong-id format-error-with-wrong-id \
        noise another-port another-address; do
        meets "$face" 0 "" "$truth"
    done
}

@test "30-dns-client believes no reply that is damaged" {
    local face
    for face in pointer-to-itself pointers-in-a-circle pointer-forward \
        pointer-outside pointer-into-header pointer-back-to-label \
        half-a-pointer label-outside no-end-of-name label-of-64 label-of-128 \
        long-name long-name-by-pointer no-record half-a-record one-of-two \
        one-of-65535 data-outside address-of-3 address-of-5 address-of-0 \
        address-of-15 alias-to-itself alias-with-more alias-outside \
        half-a-mail-server mail-server-without-name half-a-service \
        half-an-soa text-outside no-text tcp-pointer; do
        twice "$face" "@: the reply is damaged"
    done
}

@test "30-dns-client says why a server does not answer" {
    local face
    twice server-failure "@: it could not find out (SERVFAIL)"
    twice refused "@: it refused to answer"
    twice status-15 "@: it reported an unknown error"
    twice format-error "@: it did not understand the question"
    twice format-error-alone "@: it did not understand the question"
    twice not-implemented "@: it cannot answer such a question"
    twice tcp-refused "connect @: Connection refused"
    for face in tcp-closed tcp-half-a-length tcp-half tcp-too-long; do
        twice "$face" "@: the connection ended before the reply did"
    done
    twice tcp-reset "recv from @: Connection reset by peer"
    for face in tcp-length-0 tcp-wrong-id tcp-wrong-name; do
        twice "$face" "@: the reply answers another question"
    done
    twice tcp-cut "@: the reply over TCP is cut, too"
    twice tcp-refusal "@: it refused to answer"
}

@test "30-dns-client asks without the OPT record if a server does not know it" {
    meets no-opt 0 "" "$truth"
}

@test "30-dns-client prints what belongs to the name, and no more" {
    local face i wanted=''
    for face in another-name additional tcp tcp-pieces; do
        meets "$face" 0 "" "$truth"
    done
    meets capitals 0 "" "WWW.EXAMPLE. 60 IN A 192.0.2.7\n"
    for face in another-name-alone another-class another-type; do
        meets "$face" 1 "30-dns-client: www.example. has no A record" ""
    done
    meets opposite-order 0 "" "www.example. 60 IN CNAME web.example.
web.example. 60 IN A 192.0.2.7\n"
    # A record of our type counts more than an alias, in any order.
    meets alias-and-record 0 "" "$truth"
    meets alias-to-nowhere 1 "30-dns-client: web.example. has no A record" \
        "www.example. 60 IN CNAME web.example.\n"
    meets control-characters 1 \
        '30-dns-client: \027[2J.\.\\.example. has no A record' \
        'www.example. 60 IN CNAME \\027[2J.\\.\\\\.example.\n'
    for ((i = 0; i <= 16; i++)); do
        wanted+='www.example. 60 IN CNAME www.example.\n'
    done
    meets alias-of-itself 1 "30-dns-client: over 16 aliases follow each other" \
        "$wanted"
}

@test "30-dns-client ends at its deadline, whatever the server does" {
    local face
    for face in endless silent tcp-silent tcp-dribble; do
        # shellcheck disable=SC2016 # for the other shell
        measured 100 180 timed_in_private \
            'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' \
            'serve "$build/peers/rude-dns" "$1" 5300; ask www.example' "$face"
        expect_result 1 "30-dns-client: 127.0.0.1:5300: no answer in time
$no_server"
    done
}

@test "30-dns-client: each face of rude-dns is in one of the tests above" {
    local face missing='' count=0
    while read -r face _; do
        grep -vE '^ *#' "$BATS_TEST_FILENAME" |
            grep -qE "(^|[ (])$face([ ;]|\$)" || missing+=" $face"
        count=$((count + 1))
    done < <("$BUILD/peers/rude-dns")
    expect_equal "not tried" "" "$missing"
    ((count >= 35))
}

@test "30-dns-client asks the servers of resolv.conf, one after the other" {
    # shellcheck disable=SC2016 # for the other shell
    local script='serve "$build/peers/zone" "$1" 5300; ask www.example'
    in_private '# a comment\n; another\nsearch lan\nnameserver 127.0.0.2
nameserver\t127.0.0.1  \n' "$script" "$zone"
    expect_result 0 \
        "30-dns-client: recv from 127.0.0.2:5300: Connection refused"
    grep -qx "web.example. 300 IN A 192.0.2.8" "$OUT"
    # The fourth one is not asked. Each of the others is asked twice.
    in_private 'nameserver 127.0.0.2\nnameserver ::1\nnameserver 127.0.0.3
nameserver 127.0.0.1\n' "$script" "$zone"
    expect_result 1 \
        "30-dns-client: recv from 127.0.0.2:5300: Connection refused
30-dns-client: recv from [::1]:5300: Connection refused
30-dns-client: recv from 127.0.0.3:5300: Connection refused
30-dns-client: recv from 127.0.0.2:5300: Connection refused
30-dns-client: recv from [::1]:5300: Connection refused
30-dns-client: recv from 127.0.0.3:5300: Connection refused
$no_server"
}

@test "30-dns-client takes timeout and attempts from resolv.conf" {
    # shellcheck disable=SC2016 # for the other shell
    local silent='serve "$build/peers/rude-dns" silent 5300; '
    in_private 'options rotate attempts:3 ndots:1\n' 'ask www.example'
    expect_equal "lines" 4 "$(wc -l <<<"$errors")"
    in_private 'options attempts:99\n' 'ask www.example'
    expect_equal "lines, with more than are allowed" 6 "$(wc -l <<<"$errors")"
    in_private 'options attempts:0 attempts:x attempts: attempts:-1\n' \
        'ask www.example'
    expect_equal "lines, with numbers that are none" 3 "$(wc -l <<<"$errors")"
    measured 200 280 timed_in_private \
        'options attempts:1\noptions timeout:2\n' "$silent ask www.example"
    expect_result 1 "30-dns-client: 127.0.0.1:5300: no answer in time
$no_server"
    # How long it would wait is seen in its call of poll.
    # shellcheck disable=SC2016 # for the other shell
    local look='"$build/36-xray" -l -t 1 -c "$build/30-dns-client" -p 5300 a'
    in_private 'options timeout:60\n' "$silent $look"
    grep -qE "POLLIN\], (30000|29[0-9]{3}) ms\)" "$OUT"
    in_private 'options timeout:0\n' "$silent $look"
    grep -qE "POLLIN\], (5000|4[0-9]{3}) ms\)" "$OUT"
}

@test "30-dns-client asks this machine if resolv.conf has no server" {
    # shellcheck disable=SC2016 # for the other shell
    local script='serve "$build/peers/zone" "$1" 5300; ask -t MX example'
    local text long
    printf -v long 'x%.0s' {1..5000}
    for text in "" "\n \n" "nameserver\n" "#nameserver 127.0.0.9\n" \
        "search $long nameserver 127.0.0.9\n" "nameservers 127.0.0.9\n"; do
        in_private "$text" "$script" "$zone"
        expect_result 0 ""
    done
    in_private 'nameserver dns.example\n' "$script" "$zone"
    expect_result 0 \
        "30-dns-client: /etc/resolv.conf: dns.example is not an address that can be used here"
}

@test "30-dns-client asks each time with another id and from another port" {
    local ids ports
    need_faults
    # What comes back is no reply, and reading it fails.
    start_server peer "$BUILD/peers/rude-udp" -o "$BATS_TEST_TMPDIR/questions" \
        serve echo
    for _ in {1..20}; do
        try "${faulty[@]}" FAULT_CALL=recv FAULT_ERRNO=5 FAULT_TIMES=2 \
            "$program" -s 127.0.0.1 -p "$PORT" x
        expect_equal status 1 "$status"
    done
    expect_equal questions 40 \
        "$(grep -c '^got 30 bytes' "$BATS_TEST_TMPDIR/peer.out")"
    ports=$(grep -o '[0-9]*$' "$BATS_TEST_TMPDIR/peer.out" | sort -u | wc -l)
    ids=$(od -An -v -tx1 -w30 "$BATS_TEST_TMPDIR/questions" | cut -c 1-6 |
        sort -u | wc -l)
    echo "$ports ports, $ids ids" >&2
    ((ports >= 35 && ids >= 35))
}

# same_as_dig TYPE NAME: both print the same records, in any order.
same_as_dig() {
    dig +noall +answer +tries=2 +nocookie -p "$PORT" @127.0.0.1 -t "$1" "$2" \
        3>&- | grep -v '^;' | tr -s '[:blank:]' ' ' | sort \
        >"$BATS_TEST_TMPDIR/dug"
    asks -t "$1" "$2"
    expect_equal "status for $1 $2" 0 "$status"
    sort "$OUT" | diff -i "$BATS_TEST_TMPDIR/dug" - >&2 ||
        fail "dig says something else of $1 $2"
    [[ -s $OUT ]]
}

@test "30-dns-client and dig say the same of fifty records of all types" {
    local i type name text=''
    skip_unless dig
    for ((i = 0; i < 6; i++)); do
        text+="n$i.test $((RANDOM * 100 + i)) A 192.0.2.$i
n$i.test $RANDOM AAAA 2001:db8:$i::1$((RANDOM % 1000))
alias$i.test 60 CNAME n$i.test
n$i.test 5 MX $RANDOM mail$i.test
n$i.test 5 NS ns$i.test
$i.2.0.192.in-addr.arpa 7 PTR n$i.test
_s$i._tcp.test 7 SRV $i $RANDOM $((RANDOM + RANDOM)) n$i.test
n$i.test 9 TXT \"$RANDOM (text) ; \\\\\\\\$i\" \"\" \"@\"
"
    done
    text+='n0.test 2147483647 SOA ns0.test a\\\\.b.test 4294967295 2 3 4 0
n1.test 0 SOA . . 0 0 0 0 0\n'
    serve_zone "$text"
    expect_equal records 50 "$(wc -l <"$BATS_TEST_TMPDIR/zone")"
    while read -r name _ type _; do
        same_as_dig "$type" "$name"
    done < <(sort -u -k 1,1 -k 3,3 "$BATS_TEST_TMPDIR/zone")
    same_as_dig A alias0.test
    same_as_dig AAAA alias1.test
}

# start_dnsmasq: it answers for the domain `test` at PORT. If another program has
# this port, it is started again on another one.
start_dnsmasq() {
    local i
    local -a many=()
    for ((i = 1; i <= 120; i++)); do
        many+=("--host-record=many.test,192.0.2.$i")
    done
    for _ in 1 2 3 4 5; do
        PORT=$((20000 + RANDOM % 10000))
        start dnsmasq dnsmasq --no-daemon --conf-file=/dev/null --no-resolv \
            --no-hosts --user= --group= --pid-file= --port="$PORT" \
            --listen-address=127.0.0.1 --bind-interfaces --local=/test/ \
            --host-record=one.test,192.0.2.1,2001:db8::1 \
            --cname=alias.test,one.test --mx-host=test,one.test,10 \
            '--txt-record=one.test,some text,more of it' \
            --srv-host=_chat._tcp.test,one.test,8024,1,2 \
            --dns-rr=any.test,65281,01:02:fF "${many[@]}"
        until_true says_or_ended dnsmasq "*started*" err
        ! is_running dnsmasq || return 0
    done
    skip "dnsmasq does not run here"
}

@test "30-dns-client and dig say the same of what dnsmasq answers" {
    local type name
    skip_unless dnsmasq dig
    start_dnsmasq
    while read -r type name; do
        same_as_dig "$type" "$name"
    done <<'END'
A one.test
AAAA one.test
A alias.test
MX test
TXT one.test
SRV _chat._tcp.test
PTR 1.2.0.192.in-addr.arpa
TYPE65281 any.test
A many.test
END
    asks nothing.test
    expect_result 1 "30-dns-client: there is no name nothing.test."
    asks -t MX one.test
    expect_result 1 "30-dns-client: one.test. has no MX record"
}

@test "30-dns-client: zone, which the lesson asks, is understood by dig" {
    skip_unless dig
    serve_zone
    run -0 dig +short +tries=2 -p "$PORT" @127.0.0.1 www.example
    expect_equal "what dig says" $'web.example.\n192.0.2.7\n192.0.2.8' "$output"
    run -0 dig +tries=2 -p "$PORT" @127.0.0.1 nowhere.example
    [[ $output == *"status: NXDOMAIN"* ]]
    run -0 dig +tries=2 +bufsize=512 +ignore -p "$PORT" @127.0.0.1 many.example
    [[ $output == *" tc "* ]]
    run -0 dig +short +tries=2 +bufsize=512 -p "$PORT" @127.0.0.1 many.example
    expect_equal "addresses, over TCP" 100 "$(grep -c 198.51.100 <<<"$output")"
}

@test "30-dns-client goes on when signals interrupt it" {
    need_faults
    serve_zone
    try "${faulty[@]}" FAULT_SIGNALS=1000 "$program" -s 127.0.0.1 -p "$PORT" \
        many.example
    expect_result 0 ""
    expect_equal lines 100 "$(wc -l <"$OUT")"
}

@test "30-dns-client names the call that failed, and why" {
    local call name
    need_faults
    serve_zone
    try "${faulty[@]}" FAULT_CALL=socket FAULT_ERRNO=24 "$program" \
        -s 127.0.0.1 -p "$PORT" www.example
    expect_result 0 \
        "30-dns-client: socket for 127.0.0.1:$PORT: Too many open files"
    # The second attempt succeeds.
    for call in "getrandom for" connect "send to" "recv from"; do
        name=${call%% *}
        try "${faulty[@]}" FAULT_CALL="$name" FAULT_ERRNO=5 "$program" \
            -s 127.0.0.1 -p "$PORT" web.example
        expect_result 0 \
            "30-dns-client: $call 127.0.0.1:$PORT: Input/output error"
        expect_equal lines 2 "$(wc -l <"$OUT")"
        # The second one is over TCP.
        try "${faulty[@]}" FAULT_CALL="$name" FAULT_ERRNO=5 FAULT_AT=2 \
            "$program" -s 127.0.0.1 -p "$PORT" many.example
        expect_result 0 \
            "30-dns-client: $call 127.0.0.1:$PORT: Input/output error"
        expect_equal lines 100 "$(wc -l <"$OUT")"
    done
}

@test "30-dns-client says so when its output cannot be written" {
    serve_zone
    try_with /dev/null /dev/full "$program" -s 127.0.0.1 -p "$PORT" many.example
    expect_result 1 "30-dns-client: standard output: No space left on device"
    mkfifo "$BATS_TEST_TMPDIR/unread"
    exec 8<>"$BATS_TEST_TMPDIR/unread"
    exec 7>"$BATS_TEST_TMPDIR/unread" 8<&-
    try_with /dev/null - "$program" -s 127.0.0.1 -p "$PORT" many.example >&7
    expect_result 1 "30-dns-client: standard output: Broken pipe"
    # shellcheck disable=SC2016 # for the other shell
    try bash -c 'exec "$@" >&-' - "$program" -s 127.0.0.1 -p "$PORT" www.example
    expect_result 1 "30-dns-client: descriptor 1: Bad file descriptor"
}

@test "30-dns-client prints its usage" {
    local arguments
    local -a wrong
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "a b" "-s" "-p" "-t" "-y a" "-s 127.0.0.1" "-x"; do
        read -ra wrong <<<"$arguments"
        try "$program" "${wrong[@]}"
        expect_equal "status of $arguments" 2 "$status"
        [[ $errors == *"$usage" ]]
    done
}

@test "30-dns-client refuses values that it cannot use" {
    local what
    local -a words
    while IFS='|' read -r words what; do
        read -ra words <<<"$words"
        try "$program" "${words[@]}"
        expect_result 1 "30-dns-client: $what"
    done <<'END'
-s localhost www.example|localhost is not an address that can be used here
-s 127.0.0.256 www.example|127.0.0.256 is not an address that can be used here
-s fe80::1%nowhere www.example|fe80::1%nowhere is not an address that can be used here
-s 127.0.0.1 -p 0 www.example|0 is not a port: 1 to 65535
-s 127.0.0.1 -p 65536 www.example|65536 is not a port: 1 to 65535
-s 127.0.0.1 -p 53x www.example|53x is not a port: 1 to 65535
-t B www.example|B is not a type of records
-t TYPE65536 www.example|TYPE65536 is not a type of records
-t TYPE www.example|TYPE is not a type of records
-x www.example|www.example is not an address
-x 192.0.2|192.0.2 is not an address
www..example|www..example is not a name
.example|.example is not a name
END
    local name
    for name in "" "two words" 'www.ex\256mple' 'www.ex\25' 'ä.example'; do
        try "$program" "$name"
        expect_result 1 "30-dns-client: $name is not a name"
    done
}

@test "30-dns-client: the twin gets three answers, too" {
    skip_unless python3
    serve_zone
    try python3 lessons/30-dns-client/twin.py -s 127.0.0.1 -p "$PORT" www.example
    expect_result 0 ""
    expect_output --text '3 answers\n'
}
