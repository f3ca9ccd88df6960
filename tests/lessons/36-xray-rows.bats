#!/usr/bin/env bats
# 36-xray: what its pictures have beside their rows (where a program sleeps, and
# in which state a socket is), which rows it folds, and that all is legible.

load ../lib/common
load ../lib/xray

setup() {
    svg=$BATS_TEST_TMPDIR/picture.svg
    picture=$BATS_TEST_TMPDIR/picture
}

# is_xml FILE
is_xml() {
    skip_unless xmllint
    xmllint --noout "$1" >&2
}

# lifelines COLUMN FROM TO: the characters at the lifeline in that column of
# $picture, each kind once, from the row that has FROM on, up to the row before
# the one that has TO.
lifelines() {
    awk -v column="$1" -v from="$2" -v to="$3" '
        index($0, from) { inside = 1 }
        index($0, to) { exit }
        inside { print substr($0, column, 1) }' "$picture" | sort -u | tr -d '\n'
}

# y_of TEXT: where the row with that text stands in $svg; the first one.
y_of() {
    grep -F ">$1" "$svg" | sed -nE '1s/.* y="([0-9]+)".*/\1/p'
}

@test "36-xray draws a bar while a call sleeps, and none while it does not" {
    local begin end
    COLUMNS=100 draw -s "$svg" -o "$picture" < <(hello)
    expect_result 0 ""
    # The client sleeps in recv only: its connect has an answer at once.
    expect_equal "before recv" '|' "$(lifelines 10 ' | socket(AF_INET' 'recv(3 to')"
    expect_equal recv '#' "$(lifelines 10 'recv(3 to' '... recv = 6')"
    expect_equal "after recv" '|' "$(lifelines 10 '... recv = 6' beside)"
    expect_equal "before accept4" '|' "$(lifelines 55 socket accept4)"
    expect_equal accept4 '#' "$(lifelines 55 'accept4(3' '... accept4')"
    has '# beside a program: it sleeps in a call.' "$picture"
    begin=$(y_of 'recv(3 to')
    end=$(y_of '... recv = 6')
    has "<rect class=\"q\" x=\"67\" y=\"$((begin - 4))\" width=\"6\" \
height=\"$((end - begin))\"/>" "$svg"
    has '>sleeps in a call</text>' "$svg"
    # Of the client, one; of the server, at least the two accept4; and the legend.
    expect_equal "bars of the client" 2 "$(grep -c '<rect class="q" x="67"' "$svg")"
    (($(grep -c '<rect class="q" x="445"' "$svg") >= 2))
    is_xml "$svg"
}

@test "36-xray draws no bar where nothing sleeps" {
    draw -s "$svg" -o "$picture" -c "$traced" socketpair*2 say hello exit 0
    expect_result 0 ""
    has 'socketpair(' "$picture"
    lacks '#' "$picture"
    lacks '<rect class="q"' "$svg"
    lacks 'sleeps' "$svg"
    # A call that never returns, but does not sleep.
    draw -a -o "$picture" -c "$traced" exit 0
    has 'exit_group(0) ...' "$picture"
    lacks '#' "$picture"
}

@test "36-xray ends a bar and a state where the process ends" {
    skip_unless python3
    COLUMNS=80 draw -s "$svg" -o "$picture" -c python3 -c '
import os, socket, threading, time
listener = socket.create_server(("127.0.0.1", 0))
one, other = socket.socketpair()
threading.Thread(target=one.recv, args=(1,)).start()
time.sleep(0.2)
other.setblocking(False)
os._exit(0)'
    expect_result 0 ""
    expect_equal recv '#' "$(lifelines 10 ' recv(' 'ends, status 0')"
    expect_equal "at the end" '|' "$(lifelines 10 'ends, status 0' beside)"
    # The state goes on to the upper edge of that row.
    grep -qE "class=\"z zl\" d=\"M[0-9]+ [0-9]+V$(($(y_of 'ends, status 0') - 13))\"" \
        "$svg"
}

@test "36-xray takes a number for an error of SO_ERROR only" {
    skip_unless python3
    # TCP_KEEPIDLE has the number that SO_ERROR has among the options of sockets.
    draw -o "$picture" -c python3 -c '
import socket
one = socket.socket()
one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 110)
one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)'
    expect_result 0 ""
    has 'TCP_KEEPIDLE) = 0 [110]' "$picture"
    has 'SO_ERROR) = 0 [0]' "$picture"
}

@test "36-xray -t draws the bar of what hangs to the end" {
    draw -t 0.3 -s "$svg" -o "$picture" <<END
server: $BUILD/peers/rude serve stall
client: $BUILD/01-tcp-client 127.0.0.1 {port} hello
END
    expect_equal status 124 "$status"
    # In the last row; and in the image, nearly to the end of the lifeline.
    expect_equal recv '#' "$(sed -n '/ beside a program/q; p' "$picture" |
        tail -n 1 | cut -c 10)"
    local bottom
    bottom=$(sed -nE 's/^<path class="l" d="M70 30V([0-9]+)".*/\1/p' "$svg")
    sed -nE 's/^<rect class="q" x="67" y="([0-9]+)" width="6" height="([0-9]+)".*/\1 \2/p' \
        "$svg" | awk -v bottom="$bottom" '$1 + $2 == bottom - 2 { found = 1 }
            END { exit !found }'
}

# states X: the kinds of the states that are drawn there, from top to bottom.
states() {
    sed -nE "s/^<path class=\"z (z.)\" d=\"M$1 .*/\\1/p" "$svg" | paste -sd ' '
}

@test "36-xray draws the states of each socket beside the lifeline" {
    local name
    draw -s "$svg" < <(hello)
    expect_result 0 ""
    # The client's socket; the server's listener, and beside it what it accepts.
    # At 70 there is the legend, too.
    expect_equal client "zc ze zf" "$(states 78)"
    expect_equal listener "zc zl" "$(states 456)"
    expect_equal accepted "ze zf" "$(states 461)"
    # From the row where the call returns that finds it so.
    has "<path class=\"z ze\" d=\"M78 $(($(y_of '... connect = 0') - 11))V" "$svg"
    has "<path class=\"z zl\" d=\"M456 $(($(y_of 'listen(3 tcp') - 11))V" "$svg"
    # To the row of close, which has the last state.
    grep -qE "class=\"z zf\" d=\"M78 [0-9]+V$(($(y_of 'close(3 to') + 5))\"" "$svg"
    # The name stands where the state changes, and nowhere else.
    expect_equal names \
        "CLOSE LISTEN CLOSE ESTABLISHED ESTABLISHED FIN_WAIT CLOSE_WAIT" \
        "$(sed -nE 's/.* class="s z.">([A-Z_]+).*/\1/p' "$svg" | paste -sd ' ')"
    has '>TCP state of a socket</text>' "$svg"
    is_xml "$svg"
}

@test "36-xray says in its image how much is not acknowledged, also further on" {
    skip_unless python3
    draw -s "$svg" -c python3 -c '
import socket
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
client = socket.create_connection(listener.getsockname())
client.setblocking(False)
client.send(bytes(1000000))
client.getsockname()'
    expect_result 0 ""
    grep -qE ' class="s">[0-9]+ unacked</text>$' "$svg"
    expect_equal names 1 "$(grep -c '>ESTABLISHED' "$svg")"
}

@test "36-xray draws no states where there is no TCP, and leaves no room for them" {
    draw -s "$svg" < <(hello | sed 's/02-tcp-server/03-udp serve/; s/01-tcp-client/03-udp send/')
    expect_result 0 ""
    lacks 'class="z ' "$svg"
    lacks 'TCP state' "$svg"
    has '<text x="456" y="46">socket(' "$svg"
}

@test "36-xray -f folds the set-up, handshakes and acknowledgements" {
    COLUMNS=100 draw -f -s "$svg" -o "$picture" < <(hello)
    expect_result 0 ""
    grep -qE '^ +[0-9.]+  \| +\| set-up: 6 calls +LISTEN$' "$picture"
    grep -qE '^ +[0-9.]+  \|<-+ handshake: 3 segments -+>#$' "$picture"
    grep -qE '^ +[0-9.]+  \|-+ PSH ACK "hello\\n" \+ ACK -+>\|$' "$picture"
    has '"+ ACK" in an arrow: a segment came back that only acknowledges.' "$picture"
    lacks ' SYN ' "$picture"
    lacks '- ACK -' "$picture"
    lacks 'listen(' "$picture"
    # A set-up of one call stays as it is, and so do calls after it.
    has '| socket(AF_INET' "$picture"
    has ' = 6 "hello\n"' "$picture"
    has '>handshake: 3 segments</text>' "$svg"
    expect_equal "heads of the handshake" 2 "$(grep -oE \
        "class=\"h\" d=\"M[0-9]+ $(($(y_of handshake) - 4))L" "$svg" | wc -l)"
    is_xml "$svg"
    # Without it, nothing is.
    draw -o "$picture" < <(hello)
    lacks 'set-up' "$picture"
    lacks 'handshake' "$picture"
    lacks '+ ACK' "$picture"
    has ' SYN ACK ' "$picture"
}

@test "36-xray -f folds neither a list, nor what failed" {
    draw -f -l < <(hello)
    has $'server\tlisten(3 tcp, '
    has $'\tSYN ACK'
    # No handshake, and no segment of one that is left out.
    draw -f -o "$picture" -c "$BUILD/01-tcp-client" 127.0.0.1 9 hello
    has ' SYN ' "$picture"
    has ' RST ACK ' "$picture"
    lacks 'handshake' "$picture"
    skip_unless python3
    draw -f -o "$picture" -c python3 -c '
import socket
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
other = socket.socket()
try:
    other.bind(("192.0.2.1", 1))
except OSError:
    pass
other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
other.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
other.connect(address)'
    has ' EADDRNOTAVAIL' "$picture"
    has 'set-up: ' "$picture"
    has 'handshake: 3 segments' "$picture"
}

@test "36-xray -f keeps the end of an arrow's label, or leaves its ACK out" {
    local many
    printf -v many '%0100d' 0
    COLUMNS=100 draw -f -o "$picture" < <(hello ann bob | sed "2s/hello/${many//0/.}/")
    has ' PSH ... 101 bytes + ACK ' "$picture"
    COLUMNS=80 draw -f -o "$picture" < <(hello ann bob | sed "2s/hello/${many//0/.}/")
    has 'PSH ... 101 bytes' "$picture"
    lacks '101 bytes + ACK' "$picture"
}

@test "36-xray tells in its image what it is, for those who cannot see it" {
    draw -s "$svg" < <(hello ann 'b<&>"b')
    expect_result 0 ""
    grep -qE '^<svg .* role="img" aria-labelledby="title desc">$' "$svg"
    has '<title id="title">X-ray: b&lt;&amp;&gt;"b, ann, server</title>' "$svg"
    grep -qE '^<desc id="desc">.* b&lt;&amp;&gt;"b, ann, server\. .*</desc>$' "$svg"
    is_xml "$svg"
}

# overlong: each text of a column that reaches into the next one, if a character
# is as wide as it is in most fonts.
overlong() {
    sed 's/&[a-z]*;/x/g' "$svg" | awk '
        /^<path class="l"/ { sub(/.* d="M/, ""); line[++lines] = $0 + 0 }
        /^<svg/ { sub(/.* width="/, ""); width = $0 + 0 }
        /^<text x="[0-9]+" y="[0-9]+">/ {
            whole = $0
            x = $0
            sub(/<text x="/, "", x)
            x += 0
            sub(/<text[^>]*>/, "")
            sub(/<.text>/, "")
            next_line = width
            for (i = 1; i <= lines; i++)
                if (line[i] > x && line[i] < next_line) next_line = line[i]
            if (x + 7.23 * length($0) > next_line) print whole
        }'
}

@test "36-xray draws images of up to five actors legible at 830 pixels" {
    local names=(ann bob tom liz) count width
    for count in 1 2 3 4; do
        draw -s "$svg" < <(hello "${names[@]:0:count}")
        expect_result 0 ""
        width=$(sed -nE '1s/^<svg .* width="([0-9]+)".*/\1/p' "$svg")
        # Letters of 12 pixels are then still higher than 10.
        ((width * 10 <= 830 * 12)) || { echo "$count: $width" >&2 && false; }
        expect_equal "texts that are too long" "" "$(overlong)"
    done
}
