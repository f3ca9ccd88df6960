#!/usr/bin/env bats
# The exercise of 18-unix-sockets: a control socket, `18-unix-sockets serve
# PATH`. Each test's name is a requirement, as a learner reads it.

# In printf's eyes a quote in front of a letter is no quotation.
# shellcheck disable=SC2089,SC2090
load ../lib/exercise

rude=$BUILD/peers/rude-unix
client=$BUILD/18-unix-sockets
faulty=()

# listen: starts the learner's program as a server under the name `server`, at
# $SOCKET, and waits until it says that it listens. With `faulty` set it meets
# these faults.
listen() {
    begin server
    soon says_or_ended server '*' || true
    expect_listening server
}

# begin NAME: only starts it.
begin() {
    SOCKET=${SOCKET:-$BATS_TEST_TMPDIR/18.socket}
    about=$1
    : >"$BATS_TEST_TMPDIR/ending"
    : >"$BATS_TEST_TMPDIR/$1.ending"
    by_hand "${faulty[*]}${faulty:+ }$PROGRAM serve $SOCKET"
    start "$1" "${faulty[@]}" "$PROGRAM" serve "$SOCKET"
}

listen_hint="Call socket, bind and listen, and print the line. Call \
fflush(stdout) after that, because output to a file waits in a buffer. Then \
call accept in a loop."

expect_listening() {
    if ! is_running "$1" && ! says "$1" '*'; then
        end_background
        case $ended in
        126 | 127) environment "$PROGRAM does not run" ;;
        esac
        fail "it ended before it said what it listens on" --hint "$listen_hint"
    fi
    says "$1" '*' || {
        HAND[-1]+=" | cat" # to a terminal, a line goes without fflush too
        fail "it runs, but has not said what it listens on" \
            --hint "$listen_hint"
    }
    expect_true "its first line does not say what it listens on: \
\`listening on $SOCKET\`" --hint "$listen_hint" -- says "$1" "listening on $SOCKET"
    expect_true "there is no socket at its path" --hint "$listen_hint" \
        -- test -S "$SOCKET"
}

# hex TEXT: sets HEX to its bytes as rude-unix takes them.
hex() {
    local i byte
    HEX=
    if ((${#1} > 200)); then
        HEX=$(printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n')
        return
    fi
    for ((i = 0; i < ${#1}; i++)); do
        printf -v byte '%02x' "'${1:i:1}"
        HEX+=$byte
    done
}

# ask TEXT: a client sends that in one send, and reads to the end. Sets ASKER to
# its process number, REPLY to the bytes that it was told, and ending to how
# that ended, which is empty if it did not.
ask() {
    hex "$1"
    ask_hex "$HEX"
}

# ask_hex HEX: the same with these bytes.
ask_hex() {
    ASKER='' REPLY='' ending=closed
    # shellcheck disable=SC2016 # for the other bash to expand
    start client bash -c 'echo $$ && exec "$@"' - "$rude" connect "$SOCKET" \
        "$1" end
    soon has_ended client || {
        ending=
        end_background # while the client is there, so that it is seen waiting
        stop_all
    }
    { read -r ASKER && read -r REPLY; } <"$BATS_TEST_TMPDIR/client.out" || true
    REPLY=${REPLY%end}
}

# expect_reply TEXT --hint HINT: the last `ask` was told exactly that, and then
# the server closed.
expect_reply() {
    local hint=''
    local -a arguments
    take_options 1 "$@" || return
    if [[ -z $ending && -z $REPLY ]]; then
        fail "a client was told nothing, and the server has not closed" \
            --hint "$hint"
    fi
    hex "${arguments[0]}"
    [[ $REPLY == "$HEX" ]] || fail "a client was not told what it should be" \
        --show "$(show_difference <(text "$HEX") <(text "$REPLY"))" \
        --hint "$hint"
    expect_true "the server has not closed the connection" \
        --hint "A client waits for more until you close its descriptor: call \
close after send." -- test -n "$ending"
}

# text HEX: the bytes.
text() {
    # shellcheck disable=SC2001 # two characters at a time
    printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"
}

# expect_status_reply --hint HINT: the same, for a request for the status.
expect_status_reply() {
    expect_reply "process $SERVER is running, you are process $ASKER
" "$@"
}

# serve: listens; SERVER is its process number.
serve() {
    listen
    SERVER=$(pid_of server)
}

# by_hand_ask TEXT: what the learner can do to see the same.
by_hand_ask() {
    by_hand "$client" send "$SOCKET" "$1"
}

reply_hint="Reply with one line, and a newline behind it. getpid() is your own \
process number. SO_PEERCRED tells you the client's."
alive_hint="A client that has left is no reason to end: close its descriptor, \
and accept the next client."
dead_hint="The server that was here was killed, so nobody listens: connect says \
ECONNREFUSED. Then remove the file with unlink, and call bind."

@test "says where it listens" {
    listen
}

@test "answers a request for its status" {
    serve
    by_hand "$rude" connect "$SOCKET" 7374617475730a end
    ask $'status\n'
    expect_status_reply --hint "The request ends with a newline. Do not wait \
for more: the client waits for your reply. $reply_hint"
    ask $'status\n'
    expect_status_reply --hint "After one client comes the next one: call \
accept again, in a loop."
    HAND=("${HAND[0]}")
    by_hand "$rude" connect "$SOCKET" 7374617475730a6d6f7265 end
    ask $'status\nmore'
    expect_status_reply --hint "The newline need not be the last byte that has \
come: look for it with memchr in all of them. What is behind it does not matter."
    by_hand_ask status
    ask $'status\n'
    expect_status_reply --hint "What the client before this one has sent behind \
its line is no part of this request. Begin with an empty array for each client."
    next_run
    [[ $BUILD != *asan* ]] || return 0 # there are no faults
    need_faults
    faulty+=(FAULT_SHORT=1)
    serve
    by_hand_ask status
    ask $'status\n'
    expect_status_reply --hint "recv returned one byte of the line, and the \
rest comes later. Call it again until you have the newline. send, too, may take \
only a part of your reply."
}

@test "believes the kernel and not the client" {
    local number
    local hint="A client can write any number. getsockopt with SO_PEERCRED says \
which process has connected: tell the client that number."
    serve
    by_hand_ask "status 1"
    for number in 1 $((RANDOM + 40000)) "-1 root"; do
        ask "status $number"$'\n'
        expect_status_reply --hint "$hint"
    done
}

@test "answers every other line with two words" {
    local line long
    local hint="Only the word status, with a newline or a blank behind it, asks \
for the status. Reply to every other line with \"unknown request\" and a newline."
    serve
    by_hand_ask hello
    by_hand_ask statusx
    for line in hello statusx $'status\t1' ' status' '' stat; do
        ask "$line"$'\n'
        expect_reply $'unknown request\n' --hint "$hint"
    done
    HAND=("${HAND[0]}")
    by_hand "$rude" connect "$SOCKET" 73746174757300780a end
    ask_hex 73746174757300780a
    expect_reply $'unknown request\n' --hint "This line is the word status, a \
NUL and an x. strcmp looks no further than the NUL: look at the byte behind the \
word, which has to be the newline or a blank."
    printf -v long '%04000d' 0
    HAND=("${HAND[0]}")
    by_hand "$client send $SOCKET \$(printf %04000d 0)"
    ask "$long"
    expect_reply $'unknown request\n' --hint "4000 bytes came without a \
newline. Your array has room for 100: tell recv how much room is left, and stop \
when it is full."
    ask $'status\n'
    expect_status_reply --hint "After one client comes the next one."
    HAND=("${HAND[0]}")
    printf -v long '%092d' 0
    by_hand_ask "status $long"
    ask "status $long"$'\n'
    expect_status_reply --hint "This line has 100 bytes with its newline, so it \
is not too long."
    by_hand_ask "status 0$long"
    ask "status 0$long"$'\n'
    expect_reply $'unknown request\n' --hint "This line has 101 bytes. Receive \
100 bytes at most: if there is no newline among them, reply \"unknown request\"."
}

# leave TEXT: a client that sends this, and goes.
leave() {
    hex "$1"
    by_hand "$rude" connect "$SOCKET" ${HEX:+"$HEX"}
    SECONDS_ALLOWED=1 bounded "$rude" connect "$SOCKET" ${HEX:+"$HEX"}
}

@test "goes on after clients that leave" {
    serve
    leave ''
    leave 'stat'
    by_hand_ask status
    ask $'status\n'
    expect_status_reply --hint "recv returns 0 when the client has left. There \
is no request then. $alive_hint"
    HAND=("${HAND[0]}")
    by_hand "pkill -STOP -f ^$PROGRAM"
    frozen leave $'status\n'
    by_hand "pkill -CONT -f ^$PROGRAM"
    by_hand_ask status
    ask $'status\n'
    expect_status_reply --hint "The client has left, so send fails with EPIPE, \
and a signal, SIGPIPE, ends your program. Call signal(SIGPIPE, SIG_IGN) at the \
start. $alive_hint"
}

@test "answers only its own user" {
    local user users=($((UID + 1 + RANDOM % 1000)))
    local hint="getsockopt with SO_PEERCRED fills a struct ucred, and uid in it \
is the user who has connected. If this is not geteuid(), close the connection."
    ((UID == 0)) || users+=(0)
    for user in "${users[@]}"; do
        need_faults
        faulty+=(FAULT_PEER_USER="$user")
        serve
        by_hand_ask status
        ask $'status\n'
        expect_reply '' --hint "$hint"
        ask $'status\n'
        expect_true "it has ended" --hint "$alive_hint" -- is_running server
        next_run
    done
    faulty=()
    serve
    ask $'status\n'
    expect_status_reply --hint "$hint"
    next_run
    ((UID != 0)) || expect_no_reply_to_root "$hint"
}

# expect_no_reply_to_root HINT: we are root, and the server is somebody else, if
# that somebody can run a copy of it. A folder of bats is closed to others.
expect_no_reply_to_root() {
    local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    local place folder=
    for place in "${TMPDIR:-/tmp}" /tmp /dev/shm; do
        folder=$(mktemp -d -p "$place" 2>/dev/null) || continue
        if cp "$PROGRAM" "$folder/$lesson" && chown -R 65534 "$folder" &&
            "${as[@]}" test -x "$folder/$lesson"; then
            break
        fi
        rm -r "$folder"
        folder=
    done 2>/dev/null
    [[ -n $folder ]] || return 0
    SOCKET=$folder/socket
    about=server
    start server "${as[@]}" "$folder/$lesson" serve "$SOCKET"
    HAND=("${as[*]} $PROGRAM serve /tmp/18.socket"
        "$client send /tmp/18.socket status")
    soon says_or_ended server '*' || true
    ask $'status\n'
    rm -r "$folder" # before anything can fail
    expect_true "started by another user, it does not listen" \
        --hint "$listen_hint" -- says server "listening on $SOCKET"
    expect_reply '' --hint "root has connected, who is another user than that of \
the server. $1"
}

# is_open_to_others: there is a file, and it has a permission for others.
is_open_to_others() {
    local mode
    mode=$(stat -c %a "$SOCKET" 2>/dev/null) || return 1
    ((0$mode & 077))
}

# stops_or_speaks NAME: it was stopped, or has printed something, or has ended.
stops_or_speaks() {
    says_or_ended "$1" '*' || is_stopped "$(pid_of "$1")"
}

@test "never lets another user use its file" {
    local hint="bind makes the file with all permissions that the umask leaves. \
Call umask(0177) before bind, and umask again after it, with what the first call \
returned."
    umask 022
    serve
    by_hand ls -l "$SOCKET"
    ! is_open_to_others ||
        fail "its permissions are $(stat -c %A "$SOCKET")" --hint "$hint"
    next_run
    rm -f "$SOCKET"
    umask 0
    need_faults
    faulty+=(FAULT_CALL=chmod FAULT_SIGNAL=19)
    begin server
    by_hand ls -l "$SOCKET"
    soon stops_or_speaks server || true
    ! is_open_to_others ||
        fail "just before it called chmod, the permissions of its file were \
$(stat -c %A "$SOCKET")" --hint "Between bind and chmod, other users can connect. \
$hint"
    kill -CONT "$(pid_of server)"
    soon says_or_ended server '*' || true
    expect_listening server
    ! is_open_to_others ||
        fail "its permissions are $(stat -c %A "$SOCKET")" --hint "$hint"
}

@test "refuses a path that is too long, with status 1" {
    local path program=$PROGRAM folder=$BATS_TEST_TMPDIR/paths
    local hint="sun_path has room for 107 bytes and a NUL. Compare strlen(path) \
with that before you copy it. Do not cut the path off: clients would look for the \
whole one."
    [[ $program == /* ]] || program=$PWD/$program
    mkdir "$folder"
    printf -v path '%0107d' 7
    by_hand "$PROGRAM serve $BUILD/\$(printf %0101d 7)"
    about=server
    # shellcheck disable=SC2016 # for the other bash to expand
    start server bash -c 'cd "$1" && shift && exec "$@"' - "$folder" "$program" \
        serve "$path"
    soon says_or_ended server '*' || true
    expect_true "it does not listen at a path of 107 bytes" --hint "$hint Has \
your lock a name? It is longer than the path, so it needs an array with more \
room." \
        -- says server "listening on $path"
    expect_true "there is no socket at its path of 107 bytes" --hint "$hint" \
        -- test -S "$folder/$path"
    next_run
    rm -rf "$folder"
    mkdir "$folder"
    for path in "0$path" "00$path" "$path$path$path"; do
        HAND=("$PROGRAM serve $BUILD/\$(printf %0$((${#path} - 6))d 7)")
        # shellcheck disable=SC2016 # for the other bash to expand
        run_answer bash -c 'cd "$1" && shift && exec "$@"' - "$folder" \
            "$program" serve "$path"
        expect_end --hint "$hint"
        expect_true "for a path of ${#path} bytes, it made a socket with \
another name" --hint "$hint" -- has_no_socket "$folder"
        expect_status 1 --hint "$hint"
        expect_stderr "?*" --hint "Say on standard error that the path is too \
long."
    done
    HAND=()
    answer serve ''
    expect_end --hint "An empty path is none: refuse it."
    expect_status 1 --hint "An empty path is none: refuse it."
}

has_no_socket() {
    [[ -z $(find "$1" -type s) ]]
}

# kill_server: so that it can't put anything in order.
kill_server() {
    kill -KILL "$(pid_of server)"
    finish server
    : >"$BATS_TEST_TMPDIR/server.ending"
}

# make_dead: $SOCKET is a socket of another program that has ended.
make_dead() {
    SOCKET=$BATS_TEST_TMPDIR/18-dead.socket
    rm -f "$SOCKET"
    by_hand "rm -f $SOCKET; $rude serve $SOCKET"
    by_hand "$rude" connect "$SOCKET"
    start maker "$rude" serve "$SOCKET"
    wait_for maker 'listening on *' || environment "cannot make a socket"
    try "$rude" connect "$SOCKET"
    finish maker
}

@test "takes the place of a dead server" {
    serve
    kill_server
    HAND=()
    by_hand "timeout -s KILL 1 $PROGRAM serve $SOCKET; $PROGRAM serve $SOCKET"
    by_hand_ask status
    serve_again "$dead_hint"
    next_run
    make_dead
    serve_again "$dead_hint"
}

# serve_again HINT: at the path of a dead server.
serve_again() {
    begin server
    unset 'HAND[-1]'
    soon says_or_ended server '*' || true
    expect_true "it does not listen at the path of a dead server" --hint "$1" \
        -- says server "listening on $SOCKET"
    SERVER=$(pid_of server)
    ask $'status\n'
    expect_status_reply --hint "$1"
}

# refused SENTENCE HINT: the learner's program does not start at $SOCKET, and
# leaves what is there as it is. SENTENCE says what that is.
refused() {
    local before after
    before=$(ls -di "$SOCKET")
    answer serve "$SOCKET"
    after=$(ls -di "$SOCKET" 2>/dev/null) || true
    expect_end --hint "$2"
    expect_equal "the file of $1: its number" "${before%% *}" "${after%% *}" \
        --hint "$2"
    expect_status 1 --hint "$2"
    expect_stderr "?*" --hint "Say on standard error why you do not start."
}

stuck_hint="This server is alive, but it accepts nobody, and its queue is full. \
So connect waits. On a socket with SOCK_NONBLOCK, it fails with EAGAIN at once: end \
with status 1 then, and leave the file."
live_hint="If another process has the lock, do not wait for it: LOCK_NB. And \
only ECONNREFUSED from connect means that no server listens there. \
When connect succeeds, or fails for another reason, a server may be alive: end \
with status 1, and do not remove its file."

@test "refuses a path at which a server is alive, with status 1" {
    local option hint=$live_hint
    serve
    refused "a live server" "$live_hint"
    ask $'status\n'
    expect_status_reply --hint "The server that was there must go on. \
$live_hint"
    for option in '' -m; do
        next_run
        SOCKET=$BATS_TEST_TMPDIR/18-other$option.socket
        start other "$client" ${option:+"$option"} serve "$SOCKET"
        by_hand "$client $option${option:+ }serve $SOCKET"
        wait_for other 'listening on *' || environment "cannot make a socket"
        [[ -z $option ]] || hint="The other server has a socket of another type, \
SOCK_SEQPACKET. So connect fails with EPROTOTYPE, and yet a server is alive. Only \
ECONNREFUSED means that no server listens there: in all other cases end with \
status 1."
        refused "a live server" "$hint"
        try "$client" ${option:+"$option"} send "$SOCKET" hello
        expect_true "the other server cannot be reached any more" \
            --hint "$live_hint" -- test "$status" = 0
    done
    # A server that has accepted one client, and never looks at the next two.
    next_run
    SOCKET=$BATS_TEST_TMPDIR/18-stuck.socket
    by_hand "$rude" serve "$SOCKET" -1 stall
    start other "$rude" serve "$SOCKET" -1 stall
    wait_for other 'listening on *' || environment "cannot make a socket"
    by_hand "$rude" connect "$SOCKET" 00
    try "$rude" connect "$SOCKET" 00
    wait_for other 00 || environment "a client does not come through"
    for _ in 1 2; do
        by_hand "$rude" connect "$SOCKET" 00
        try "$rude" connect "$SOCKET" 00
    done
    refused "a server that is stuck" "$stuck_hint"
}

@test "removes nothing that is not a socket" {
    local hint="connect says ECONNREFUSED for every file that is not a socket, \
too. Ask lstat first: S_ISSOCK(st_mode) must be true before you remove a file."
    SOCKET=$BATS_TEST_TMPDIR/18.text
    echo "my diary, page $RANDOM" >"$SOCKET"
    cp "$SOCKET" "$BATS_TEST_TMPDIR/copy"
    by_hand "echo diary >$SOCKET"
    refused "a text" "$hint"
    by_hand cat "$SOCKET"
    expect_output "$BATS_TEST_TMPDIR/copy" --in "$SOCKET" --hint "$hint"
    next_run
    SOCKET=$BATS_TEST_TMPDIR/18.folder
    mkdir "$SOCKET"
    refused "a folder" "$hint"
    next_run
    make_dead
    by_hand "ln -sf $PWD/$BUILD/18-dead.socket $BUILD/18.link"
    ln -s "$SOCKET" "$BATS_TEST_TMPDIR/18.link"
    SOCKET=$BATS_TEST_TMPDIR/18.link
    refused "a symbolic link" "lstat tells you about the link itself; stat about \
the file to which it leads. Call lstat."
}

# settled NAME: it listens, or has ended, or three tenths of a second have
# passed: then it waits for something.
settled() {
    local end=$((${EPOCHREALTIME/./} + 300000))
    until says_or_ended "$1" '*' || ((${EPOCHREALTIME/./} > end)); do
        pause
    done
}

@test "lets only one of two servers win that start at the same time" {
    local name winners=0
    local -A end=()
    local hint="Between connect and unlink, the other server may have taken the \
path. Take a lock before you look: flock with LOCK_EX | LOCK_NB on the file \
PATH.lock. If you do not get it, end with status 1."
    need_faults
    make_dead
    # The first is stopped before it removes the file, and goes on when the
    # second has done what it can.
    faulty+=(FAULT_CALL="unlink,remove,rename" FAULT_SIGNAL=19)
    begin first
    soon stops_or_speaks first || true
    faulty=()
    begin second
    by_hand "pkill -CONT -f ^$PROGRAM"
    by_hand_ask status
    settled second
    kill -CONT "$(pid_of first)" 2>/dev/null || true
    soon says_or_ended first '*' || true
    # One has the path. It is told to end when the other one has ended.
    soon one_has_ended || true
    for name in first second; do
        ! says "$name" "listening on $SOCKET" || winners=$((winners + 1))
    done
    expect_equal "the number of servers that believe they have the path" 1 \
        "$winners" --hint "$hint"
    expect_true "the one that has not got the path does not end" --hint "$hint" \
        -- one_has_ended
    for name in first second; do
        if is_running "$name"; then
            SERVER=$(pid_of "$name")
        else
            finish "$name"
            expect_equal "the exit status of the other one" 1 "$ended" \
                --hint "$hint"
        fi
    done
    ask $'status\n'
    expect_status_reply --hint "The one that says \`listening on\` must be the \
one that has the path. $hint"
}

one_has_ended() {
    ! is_running first || ! is_running second
}

@test "removes its socket when it is told to end, with status 0" {
    local signal
    for signal in TERM INT; do
        serve
        HAND=()
        by_hand "$PROGRAM serve $SOCKET & sleep 1; kill -$signal \$!; wait \$!; \
echo \$?; ls $SOCKET"
        ask $'status\n'
        expect_status_reply --hint "$reply_hint"
        soon is_asleep "$(pid_of server)" || true
        kill -s "$signal" "$(pid_of server)"
        soon has_ended server ||
            fail "it did not end after SIG$signal" --hint "With SA_RESTART, as \
signal() sets it, accept is called again after the handler. Call shutdown on the \
listener in the handler, or set the handler with sigaction without SA_RESTART."
        about=
        finish server
        expect_true "its socket is still there after SIG$signal" \
            --hint "SIG$signal ends a program at once, and close does not \
remove the file. Catch the signal, leave the loop, and call unlink." \
            -- test ! -e "$SOCKET"
        expect_equal "its exit status after SIG$signal" 0 "$ended" \
            --hint "It did what it was told: return 0 from main."
        next_run
    done
}

@test "refuses wrong arguments, with status 2" {
    answer
    expect_usage
    answer serve
    expect_usage
    answer serve "$BATS_TEST_TMPDIR/a" more
    expect_usage
    answer wait "$BATS_TEST_TMPDIR/a"
    expect_usage
}
