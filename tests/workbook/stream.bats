#!/usr/bin/env bats
# common/stream, function by function.

load ../lib/common

tell=$BUILD/tests/tell-stream

# tells TEXT ARGUMENT...: that is what tell-stream prints.
tells() {
    local text=$1
    shift
    try "$tell" "$@"
    expect_result 0 ""
    local arguments=$*
    expect_equal "${arguments:0:60}" "$text" "$(<"$OUT")"
}

@test "stream_read_line reads lines, and keeps what follows each" {
    tells 'LINE 4 1 one\n
LINE 4 1 two\n
LINE 4 1 ten\n
END 0 2' 'one\ntwo\nten\n' -- line:9 line:9 line:9 line:9
    tells 'LINE 4 2 one\n
LINE 4 2 two\n
LINE 4 4 ten\n
END 0 5' 'on' 'e\ntwo\n' 'te' 'n\n' -- line:9 line:9 line:9 line:9
    tells 'LINE 1 1 \n
LINE 1 1 \n
END 0 2
END 0 3' '\n\n' -- line:9 line:9 line:9 line:9
}

@test "stream_read_line holds to its limit" {
    tells 'LINE 6 1 hello\n
END 0 2' 'hello\n' -- line:6 line:6
    tells 'TOO_LONG 5 1 hello
LINE 1 1 \n
END 0 2' 'hello\n' -- line:5 line:5 line:5
    tells 'TOO_LONG 5 2 hello
LINE 1 3 \n' 'he' 'llo' '\n' -- line:5 line:5
    tells 'TOO_LONG 0 0
LINE 6 1 hello\n' 'hello\n' -- line:0 line:6
    tells 'LINE 1 1 \n' '\n' -- line:1
    tells 'TOO_LONG 1 1 x' 'x' -- line:1
}

@test "stream_read_line reads lines that are longer than its buffer" {
    local x
    printf -v x '%09999d' 0
    tells "LINE 10000 3 $x\\n
LINE 2 3 y\\n
END 0 4" -b "$x\\ny\\n" -- line:10000 line:10000 line:10000
    tells "TOO_LONG 9999 3 $x
LINE 1 3 \\n" -b "$x\\n" -- line:9999 line:9999
    printf -v x '%04095d' 0 # and one that just fits
    tells "LINE 4096 1 $x\\n
LINE 2 2 y\\n" -b "$x\\ny\\n" -- line:4096 line:4096
}

@test "stream_read_line tells the end from an end in the middle of a line" {
    tells 'END 0 1' -- line:9
    tells 'LINE 2 1 a\n
CUT 2 2 bc
END 0 3' 'a\nbc' -- line:9 line:9 line:9
    tells 'CUT 3 3 abc' 'a' 'bc' -- line:4
    tells 'TOO_LONG 3 2 abc
END 0 3' 'a' 'bc' -- line:3 line:3
}

@test "stream_read_line reads bytes that are NUL" {
    tells 'LINE 4 2 a\0\0\n
LINE 2 2 \0\n
CUT 1 3 \0' 'a\0' '\0\n\0\n\0' -- line:9 line:9 line:9
}

@test "stream_read_line goes on when a signal interrupts recv" {
    need_faults
    try "${faulty[@]}" FAULT_CALL=recv FAULT_ERRNO=4 FAULT_TIMES=3 FAULT_AT=2 \
        "$tell" 'on' 'e\n' -- line:9
    expect_result 0 ""
    expect_output --text 'LINE 4 5 one\\n\n'
}

@test "stream_read_line says when recv fails, and what came before" {
    need_faults
    try "${faulty[@]}" FAULT_CALL=recv FAULT_ERRNO=11 FAULT_AT=2 \
        "$tell" 'on' 'e\n' -- line:9 line:9 line:9
    expect_result 0 ""
    expect_output --text 'ERROR 2 2 on (Resource temporarily unavailable)
LINE 2 3 e\\n
END 0 4\n'
}

@test "stream_read_exactly reads so many bytes, and keeps what follows" {
    tells 'OK 5 2 hello
OK 1 2 ,
OK 0 2
OK 3 2 \n\0x
END 0 3' 'hel' 'lo,\n\0x' -- exactly:5 exactly:1 exactly:0 exactly:3 exactly:1
    tells 'END 0 1
OK 0 1' -- exactly:3 exactly:0
    tells 'CUT 4 2 four
END 0 3' 'four' -- exactly:5 exactly:5
    local x
    printf -v x '%010000d' 0
    tells "OK 9999 3 ${x:1}
CUT 1 4 0" -b "$x" -- exactly:9999 exactly:2
}

@test "stream_read_exactly and stream_read_line read from the same stream" {
    tells 'LINE 3 1 5:\n
OK 5 1 a\nb\nc
LINE 2 1 d\n' '5:\na\nb\ncd\n' -- line:9 exactly:5 line:9
}

@test "stream_read_exactly says when recv fails, and what came before" {
    need_faults
    try "${faulty[@]}" FAULT_CALL=recv FAULT_AT=2 \
        "$tell" 'on' 'e' -- exactly:3 exactly:1
    expect_result 0 ""
    expect_output --text 'ERROR 2 2 on (Input/output error)\nOK 1 3 e\n'
}

@test "stream_write_all sends all, also a byte at a time" {
    tells '0 0' -w 0 0
    tells '0 5' -w 5 5
    tells '0 1000000' -w 1000000 1000000
    need_faults
    try "${faulty[@]}" FAULT_SHORT=1 "$tell" -w 3000 3000
    expect_result 0 ""
    expect_output --text '0 3000\n'
}

@test "stream_write_all goes on when a signal interrupts send" {
    # It waits for a reader that waits for signals: so each send is cut short.
    tells '0 10000000' -w 10000000 10000000 5
    need_faults
    try "${faulty[@]}" FAULT_CALL=send FAULT_ERRNO=4 FAULT_TIMES=3 \
        "$tell" -w 100 100
    expect_result 0 ""
    expect_output --text '0 100\n'
}

@test "stream_write_all says how far it came" {
    need_faults
    try "${faulty[@]}" FAULT_SHORT=1 FAULT_CALL=send FAULT_AT=4 \
        "$tell" -w 100 3
    expect_result 0 ""
    expect_output --text '-1 3 Input/output error\n'
    try "${faulty[@]}" FAULT_CALL=send "$tell" -w 100 0
    expect_output --text '-1 0 Input/output error\n'
}

@test "stream_write_all lives when the peer has gone" {
    try "$tell" -w 10000000 10
    expect_result 0 ""
    [[ $(<"$OUT") =~ ^-1\ ([0-9]+)\ (Broken\ pipe|Connection\ reset\ by\ peer)$ ]]
    ((BASH_REMATCH[1] >= 10 && BASH_REMATCH[1] < 10000000))
}
