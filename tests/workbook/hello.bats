#!/usr/bin/env bats
# common/hello, as tables: the first bytes of a client, and what they say.

load ../lib/common

tell=$BUILD/tests/tell-hello
hellos=$BUILD/peers/hellos

# bytes HEX: writes these bytes.
bytes() {
    local hex=${1//[^0-9a-f]/}
    [[ -n $hex ]] || return 0
    # shellcheck disable=SC2059 # it is a format
    printf "$(fold -w 2 <<<"$hex" | sed 's/^/\\x/' | tr -d '\n')"
}

# says_of RESULT HEX...: that is all that is said of these bytes.
says_of() {
    bytes "${*:2}" >"$BATS_TEST_TMPDIR/bytes"
    expect_equal "what is said of ${*:2}" "$1" \
        "$(bounded "$tell" <"$BATS_TEST_TMPDIR/bytes")"
}

# field WIDTH HEX...: these bytes, and before them their length in so many bytes.
field() {
    local hex
    hex=$(printf %s "${@:2}" | tr -d ' \n')
    printf "%0$((2 * $1))x%s" $((${#hex} / 2)) "$hex"
}

# record HEX...: a record of the handshake.
record() {
    printf 160301
    field 2 "$@"
}

# message HEX...: a ClientHello with this body.
message() {
    printf 01
    field 3 "$@"
}

random=$(printf '%064d' 0)

# body SUITES [EXTENSION...]: the body of a ClientHello.
body() {
    printf '0303%s00' "$random"
    field 2 "$1"
    printf 0100
    (($# == 1)) || field 2 "${@:2}"
}

# extension TYPE HEX...
extension() {
    printf '%s' "$1"
    field 2 "${@:2}"
}

# hello SUITES [EXTENSION...]: the record of a whole ClientHello.
hello() {
    record "$(message "$(body "$@")")"
}

# part NAME RESULT HEX...: the line that begins with NAME says that.
part() {
    bytes "${*:3}" >"$BATS_TEST_TMPDIR/bytes"
    expect_equal "$1 of ${*:3}" "$1 $2" \
        "$(bounded "$tell" <"$BATS_TEST_TMPDIR/bytes" | grep "^$1")"
}

# RFC 8448, section 3.
example="01 00 00 c0 03 03 cb 34 ec b1 e7 81 63 ba 1c 38 c6 da cb 19 6a 6d ff a2
1a 8d 99 12 ec 18 a2 ef 62 83 02 4d ec e7 00 00 06 13 01 13 03 13 02 01 00 00 91
00 00 00 0b 00 09 00 00 06 73 65 72 76 65 72 ff 01 00 01 00 00 0a 00 14 00 12 00
1d 00 17 00 18 00 19 01 00 01 01 01 02 01 03 01 04 00 23 00 00 00 33 00 26 00 24
00 1d 00 20 99 38 1d e5 60 e4 bd 43 d2 3d 8e 43 5a 7d ba fe b3 c0 6e 51 c1 3c ae
4d 54 13 69 1e 52 9a af 2c 00 2b 00 03 02 03 04 00 0d 00 20 00 1e 04 03 05 03 06
03 02 03 08 04 08 05 08 06 04 01 05 01 06 01 02 01 04 02 05 02 06 02 02 02 00 2d
00 02 01 01 00 1c 00 02 40 01"
read_example="version 0303
name server
protocols 
versions 0304
groups 001d 0017 0018 0019 0100 0101 0102 0103 0104
suites 1301 1303 1302
extensions 0000 ff01 000a 0023 0033 002b 000d 002d 001c"

@test "hello reads the example of RFC 8448, in one record or many" {
    local whole=${example//[^0-9a-f]/} records='' i
    says_of "$read_example" "$(record "$example")"
    for i in 1 2 3 4 5 100 195; do
        says_of "$read_example" "$(record "${whole:0:2*i}")" \
            "$(record "${whole:2*i}")"
    done
    for ((i = 0; i < ${#whole}; i += 2)); do
        records+="1603030001${whole:i:2}"
    done
    says_of "$read_example" "$records"
    # What follows is not looked at: a second message, a record, anything.
    says_of "$read_example" "$(record "$example" 02000000)"
    says_of "$read_example" "$(record "$example")" 150301 0002 0100 ff
}

# RFC 8448, section 4: the same client resumes its session (0029, which must be
# the last extension), and sends early data (002a). It fills the message up to
# 512 bytes (0015).
resumes="01 00 01 fc 03 03 1b c3 ce b6 bb e3 9c ff 93 83 55 b5 a5 0a db 6d b2 1b 7a 6a
f6 49 d7 b4 bc 41 9d 78 76 48 7d 95 00 00 06 13 01 13 03 13 02 01 00 01 cd 00
00 00 0b 00 09 00 00 06 73 65 72 76 65 72 ff 01 00 01 00 00 0a 00 14 00 12 00
1d 00 17 00 18 00 19 01 00 01 01 01 02 01 03 01 04 00 33 00 26 00 24 00 1d 00
20 e4 ff b6 8a c0 5f 8d 96 c9 9d a2 66 98 34 6c 6b e1 64 82 ba dd da fe 05 1a
66 b4 f1 8d 66 8f 0b 00 2a 00 00 00 2b 00 03 02 03 04 00 0d 00 20 00 1e 04 03
05 03 06 03 02 03 08 04 08 05 08 06 04 01 05 01 06 01 02 01 04 02 05 02 06 02
02 02 00 2d 00 02 01 01 00 1c 00 02 40 01 00 15 00 57 $(printf '00%.0s' {1..87})
00 29 00 dd 00 b8 00 b2 2c 03 5d 82 93 59 ee 5f f7 af 4e c9 00 00 00 00 26 2a
64 94 dc 48 6d 2c 8a 34 cb 33 fa 90 bf 1b 00 70 ad 3c 49 88 83 c9 36 7c 09 a2
be 78 5a bc 55 cd 22 60 97 a3 a9 82 11 72 83 f8 2a 03 a1 43 ef d3 ff 5d d3 6d
64 e8 61 be 7f d6 1d 28 27 db 27 9c ce 14 50 77 d4 54 a3 66 4d 4e 6d a4 d2 9e
e0 37 25 a6 a4 da fc d0 fc 67 d2 ae a7 05 29 51 3e 3d a2 67 7f a5 90 6c 5b 3f
7d 8f 92 f2 28 bd a4 0d da 72 14 70 f9 fb f2 97 b5 ae a6 17 64 6f ac 5c 03 27
2e 97 07 27 c6 21 a7 91 41 ef 5f 7d e6 50 5e 5b fb c3 88 e9 33 43 69 40 93 93
4a e4 d3 57 fa d6 aa cb 00 21 20 3a dd 4f b2 d8 fd f8 22 a0 ca 3c f7 67 8e f5
e8 8d ae 99 01 41 c5 92 4d 57 bb 6f a3 1b 9e 5f 9d"

@test "hello reads the example of RFC 8448 that resumes a session" {
    says_of "${read_example%$'\n'extensions*}
extensions 0000 ff01 000a 0033 002a 002b 000d 002d 001c 0015 0029" \
        "$(record "$resumes")"
}

@test "hello says that more bytes must come, wherever they are cut" {
    local whole i
    whole=$(record "$example")
    for ((i = 0; i < ${#whole}; i += 6)); do
        says_of unfinished "${whole:0:i}"
    done
    says_of unfinished "$(record 01)"
    says_of unfinished "$(record 01)" 16
    says_of unfinished "$(record 01 003ffc)" # 16,384 bytes
}

@test "hello says at the first byte that shows it: this is no TLS" {
    says_of "no TLS" 47              # GET
    says_of "no TLS" 15              # an alert
    says_of "no TLS" 1602            # not 3.x
    says_of "no TLS" 8080            # a ClientHello of SSL 2
    says_of "no TLS" "$(record 02)"  # ServerHello
    says_of "no TLS" 160301 0000     # an empty record
    says_of "no TLS" 160301 4001     # 16,385 bytes
    says_of unfinished 160301 4000   # 16,384 bytes
    says_of unfinished 160399 0001   # no such version: what matters is the 3
    says_of "no TLS" "$(record 0100)" 170303
}

@test "hello says at its fourth byte that a message is too long" {
    says_of "too long" "$(record 01 003ffd)" # 16,385 bytes
    says_of "too long" "$(record 01 ffffff)"
    "$hellos" longest >"$BATS_TEST_TMPDIR/bytes"
    "$tell" <"$BATS_TEST_TMPDIR/bytes" | grep -qx 'name server.example'
    "$hellos" too-long >"$BATS_TEST_TMPDIR/bytes"
    expect_equal "a byte more" "too long" "$("$tell" <"$BATS_TEST_TMPDIR/bytes")"
}

@test "hello reads each field, and whatever is not there is empty" {
    local empty=$'name \nprotocols \nversions\ngroups\nsuites\nextensions'
    says_of "version 0303"$'\n'"$empty" "$(hello "")"
    # With a list of extensions that is empty.
    says_of "version 0303"$'\n'"$empty" "$(hello "" "")"
    says_of "version 0000"$'\n'"$empty" \
        "$(record "$(message 0000 "$random" 00 0000 00)")"
    part suites "1301 00ff" "$(hello 130100ff)"
    part extensions "abcd 0015" \
        "$(hello 1301 "$(extension abcd)" "$(extension 0015 0000)")"
    part name a "$(hello 1301 "$(extension 0000 "$(field 2 00 0001 61)")")"
    part name 'a\00b\20\ff\5c' \
        "$(hello 1301 "$(extension 0000 "$(field 2 00 0006 61006220ff5c)")")"
    part groups "001d 0a0a" \
        "$(hello 1301 "$(extension 000a "$(field 2 001d0a0a)")")"
    part groups "001d" "$(hello 1301 "$(extension 000a "$(field 2 001d)")")"
    part versions "0304 0303 7f1c" \
        "$(hello 1301 "$(extension 002b "$(field 1 030403037f1c)")")"
    part protocols '\02h2\01x' \
        "$(hello 1301 "$(extension 0010 "$(field 2 026832 0178)")")"
    part another "hello is inside" "$(hello 1301 "$(extension fe0d 00)")"
}

@test "hello says that a ClientHello is damaged" {
    local name
    says_of damaged "$(record "$(message)")"
    says_of damaged "$(record "$(message 03)")"
    says_of damaged "$(record "$(message 0303 "${random:2}")")"
    says_of damaged "$(record "$(message 0303 "$random")")"
    says_of damaged "$(record "$(message 0303 "$random" 01)")"
    says_of damaged "$(record "$(message 0303 "$random" 00)")"
    says_of damaged "$(record "$(message 0303 "$random" 00 0000)")"
    says_of damaged "$(record "$(message 0303 "$random" 00 0003130113 0100)")"
    says_of damaged "$(record "$(message 0303 "$random" 00 0000 01)")"
    says_of damaged "$(record "$(message 0303 "$random" 00 0000 00 00)")"
    says_of damaged "$(record "$(message 0303 "$random" 00 0000 00 0001)")"
    says_of damaged "$(hello 130113)" # an odd length
    says_of damaged "$(hello 1301 00)"
    says_of damaged "$(hello 1301 000000)"
    says_of damaged "$(hello 1301 00150001)"
    # Bytes behind the extensions.
    says_of damaged "$(record "$(message "$(body 1301 00150000)" 00)")"
    # The name: its extension, the list, the kind, its length.
    says_of damaged "$(hello 1301 "$(extension 0000)")"
    says_of damaged "$(hello 1301 "$(extension 0000 00)")"
    says_of damaged "$(hello 1301 "$(extension 0000 0000)")"
    says_of damaged "$(hello 1301 "$(extension 0000 000100)")"
    says_of damaged "$(hello 1301 "$(extension 0000 0003000000)")"
    says_of damaged "$(hello 1301 "$(extension 0000 000401000161)")"
    says_of damaged "$(hello 1301 "$(extension 0000 000500000161)")"
    # A name that ends behind its list, but within the message.
    says_of damaged "$(hello 1301 "$(extension 0000 000400000261)" \
        "$(extension 0015 00000000)")"
    for name in 000a 0010; do
        says_of damaged "$(hello 1301 "$(extension "$name" 00)")"
        says_of damaged "$(hello 1301 "$(extension "$name" 0002ff)")"
    done
    says_of damaged "$(hello 1301 "$(extension 000a 0001ff)")"
    says_of damaged "$(hello 1301 "$(extension 0010 00020268)")"
    says_of damaged "$(hello 1301 "$(extension 002b)")"
    says_of damaged "$(hello 1301 "$(extension 002b 0103)")"
    says_of damaged "$(hello 1301 "$(extension 002b 020304)" "$(extension 002b 020304)")"
    says_of damaged "$(hello 1301 "$(extension abcd)" "$(extension abcd)")"
}

@test "hello reads 128 extensions, and no more" {
    local i types='' all=''
    for ((i = 0; i < 128; i++)); do
        types+=$(printf ' %04x' $((i + 100)))
        all+=$(printf '%04x0000' $((i + 100)))
    done
    part extensions "${types# }" "$(hello 1301 "$all")"
    says_of damaged "$(hello 1301 "$all" 99990000)"
}

@test "hello reads every kind of client that hellos writes, or refuses it" {
    local kind good said extra
    while read -r kind good; do
        for extra in 1 2 255 65535; do
            # Such a record would be longer than any may be; and a field may
            # happen to end where the message does.
            [[ $kind-$extra != long-record-65535 ]] || continue
            [[ $kind != long-compression || $extra == 1 ]] || continue
            "$hellos" -s "$RANDOM" -x "$extra" "$kind" >"$BATS_TEST_TMPDIR/bytes"
            said=$(bounded "$tell" <"$BATS_TEST_TMPDIR/bytes")
            [[ $said != *changes* && $said != *"another thing"* ]]
            case $good in
            good) [[ $said == version* ]] ;;
            bad) [[ $said != version* ]] ;;
            *) false ;;
            esac || fail "$kind is $good" --show "$said"
        done
    done < <("$hellos" kinds)
}

# The three tables of RFC 8701: both bytes are the same, and end with a.
@test "hello_is_grease knows the 16 numbers that mean nothing, and no other" {
    cat >"$BATS_TEST_TMPDIR/grease.c" <<'END'
#include "hello.h"
#include <stdio.h>
int main(void) {
    for (unsigned number = 0; number < 0x10000; number++)
        if (hello_is_grease(number))
            printf("%04x ", number);
}
END
    cc -Icommon -o "$BATS_TEST_TMPDIR/grease" "$BATS_TEST_TMPDIR/grease.c" \
        common/hello.c
    expect_equal grease "0a0a 1a1a 2a2a 3a3a 4a4a 5a5a 6a6a 7a7a 8a8a 9a9a \
aaaa baba caca dada eaea fafa " "$("$BATS_TEST_TMPDIR/grease")"
}
