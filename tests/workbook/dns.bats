#!/usr/bin/env bats
# common/dns, function by function: tables of what goes in and what comes out.

load ../lib/common

tell=$BUILD/tests/tell-dns

# expect_table COMMAND...: each line of standard input is `TEXT -> RESULT`;
# COMMAND gets TEXT as its last argument and prints RESULT.
expect_table() {
    local line count=0
    while IFS= read -r line; do
        expect_equal "${line% -> *}" "${line##* -> }" \
            "$(bounded "$@" "${line% -> *}")"
        count=$((count + 1))
    done
    ((count > 0))
}

# letters COUNT: prints so many letters.
letters() {
    printf 'x%.0s' $(seq "$1")
}

@test "dns_name_parse reads labels, and dns_name_format writes them" {
    expect_table "$tell" name <<'END'
. -> 00 .
a -> 016100 a.
a. -> 016100 a.
www.example -> 03777777076578616d706c6500 www.example.
WwW.example. -> 03577757076578616d706c6500 WwW.example.
a.b.c -> 01610162016300 a.b.c.
_chat._tcp -> 055f63686174045f74637000 _chat._tcp.
-a- -> 032d612d00 -a-.
1.2 -> 0131013200 1.2.
END
}

# RFC 4343, section 2.1: \065 and A are the same byte. The names of its section
# 2.2 are at the end.
@test "dns_name_parse knows escapes, and dns_name_format writes those it needs" {
    expect_table "$tell" name <<'END'
\a -> 016100 a.
\065\066 -> 02414200 AB.
a\.b.c -> 03612e62016300 a\.b.c.
\\ -> 015c00 \\.
a\000b -> 0361006200 a\000b.
\032\009\127\128\255 -> 0520097f80ff00 \032\009\127\128\255.
\"\(\)\;\@\$ -> 062228293b402400 \"\(\)\;\@\$.
"();@$ -> 062228293b402400 \"\(\)\;\@\$.
!#%&'*+,/:<=>?[]^`{|}~ -> 1621232526272a2b2c2f3a3c3d3e3f5b5d5e607b7c7d7e00 !#%&'*+,/:<=>?[]^`{|}~.
Donald\032E\.\032Eastlake\0323rd.example -> 16446f6e616c6420452e20456173746c616b6520337264076578616d706c6500 Donald\032E\.\032Eastlake\0323rd.example.
a\000\\\255z.example -> 0561005cff7a076578616d706c6500 a\000\\\255z.example.
END
}

@test "dns_name_parse refuses what is no name" {
    expect_table "$tell" name <<'END'
 -> Invalid argument
.. -> Invalid argument
.a -> Invalid argument
a..b -> Invalid argument
a.. -> Invalid argument
a b -> Invalid argument
\ -> Invalid argument
a\ -> Invalid argument
\1 -> Invalid argument
\12 -> Invalid argument
\12x -> Invalid argument
\256 -> Invalid argument
\999 -> Invalid argument
\ a -> Invalid argument
ä -> Invalid argument
END
    expect_equal "a tab" "Invalid argument" "$("$tell" name $'a\tb')"
    expect_equal "127" "Invalid argument" "$("$tell" name $'a\177')"
}

@test "dns_name_parse knows how long a label and a name may be" {
    local most
    most=$(letters 63)
    expect_equal "63" "$most." "$("$tell" name "$most" | cut -d ' ' -f 2)"
    expect_equal "64" "File name too long" "$("$tell" name "x$most")"
    # 255 bytes are three labels of 63 and one of 61.
    local three=$most.$most.$most
    expect_equal "255" "$three.${most:2}." \
        "$("$tell" name "$three.${most:2}" | cut -d ' ' -f 2)"
    expect_equal "256" "File name too long" "$("$tell" name "$three.${most:1}")"
    expect_equal "255, by small labels" 510 \
        "$("$tell" name "$(printf 'a.%.0s' {1..127})" | cut -d ' ' -f 1 |
            tr -d '\n' | wc -c)"
    expect_equal "257, by small labels" "File name too long" \
        "$("$tell" name "$(printf 'a.%.0s' {1..128})")"
    # Each byte takes four characters: the longest text.
    local byte=
    printf -v byte '\\001%.0s' {1..63}
    expect_equal "the longest text" 1004 \
        "$("$tell" name "$byte.$byte.$byte.${byte:8}" | cut -d ' ' -f 2 |
            tr -d '\n' | wc -c)"
}

@test "dns_name_equals makes no difference between large and small letters" {
    local a b result
    while read -r a b result; do
        expect_equal "$a and $b" "$result" "$(bounded "$tell" equals "$a" "$b")"
        expect_equal "$b and $a" "$result" "$(bounded "$tell" equals "$b" "$a")"
    done <<'END'
a a the same
a A the same
www.EXAMPLE WWW.example. the same
AZ az the same
69.2.0.192.in-addr.arpa 69.2.0.192.in-ADDR.ARPA the same
. . the same
a b another
a aa another
a . another
a.b ab another
a.b a.b.c another
@ ` another
[ { another
\001 ! another
\192 \224 another
a\.b a.b another
END
}

@test "dns_name_reverse makes the name of an address" {
    # RFC 1035, section 3.5, and RFC 3596, section 2.5, are among them.
    expect_table "$tell" reverse <<'END'
10.2.0.52 -> 52.0.2.10.in-addr.arpa.
0.0.0.0 -> 0.0.0.0.in-addr.arpa.
255.254.253.252 -> 252.253.254.255.in-addr.arpa.
4321:0:1:2:3:4:567:89ab -> b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa.
::1 -> 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.
::ffff:192.0.2.1 -> 1.0.2.0.0.0.0.c.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.
 -> Invalid argument
1.2.3 -> Invalid argument
1.2.3.256 -> Invalid argument
www.example -> Invalid argument
fe80::1%lo -> Invalid argument
END
}

@test "dns_type_parse knows names and numbers of types" {
    expect_table "$tell" type <<'END'
A -> 1 A
NS -> 2 NS
CNAME -> 5 CNAME
SOA -> 6 SOA
PTR -> 12 PTR
MX -> 15 MX
TXT -> 16 TXT
AAAA -> 28 AAAA
SRV -> 33 SRV
OPT -> 41 OPT
mx -> 15 MX
TYPE15 -> 15 MX
type0 -> 0 TYPE0
TYPE731 -> 731 TYPE731
TYPE65535 -> 65535 TYPE65535
TYPE65536 -> Invalid argument
TYPE -> Invalid argument
TYPE-1 -> Invalid argument
TYPE1x -> Invalid argument
15 -> Invalid argument
AA -> Invalid argument
 -> Invalid argument
END
}

# RFC 1035, section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64,
# and the root at 92.
@test "dns_read_name reads the example of RFC 1035" {
    local zeros message
    zeros=$(printf '00%.0s' {1..40})
    message="${zeros:0:40} 0146 03495349 0441525041 00 ${zeros:0:16} \
03464f4f c014 ${zeros:0:36} c01a ${zeros:0:52} 00"
    expect_equal "at 20" "to 32: 014603495349044152504100 F.ISI.ARPA." \
        "$("$tell" read 20 <<<"$message")"
    expect_equal "at 40" \
        "to 46: 03464f4f014603495349044152504100 FOO.F.ISI.ARPA." \
        "$("$tell" read 40 <<<"$message")"
    expect_equal "at 64" "to 66: 044152504100 ARPA." \
        "$("$tell" read 64 <<<"$message")"
    expect_equal "at 92" "to 93: 00 ." "$("$tell" read 92 <<<"$message")"
}

# reads OFFSET HEX RESULT: behind a header of twelve bytes.
reads() {
    expect_equal "$2, at $1" "$3" \
        "$("$tell" read "$1" <<<"000000000000000000000000 $2")"
}

@test "dns_read_name follows pointers to the front only" {
    local i chain='016100' chained
    reads 15 "016100 c00c" "to 17: 016100 a."
    reads 17 "016100 c00c c00f" "to 19: 016100 a."
    reads 15 "016100 0162 c00c" "to 19: 0162016100 b.a."
    # To itself, forward, round, into the header, and outside.
    reads 12 "c00c" "Bad message"
    reads 12 "c00e 016100" "Bad message"
    reads 12 "c00e c00c" "Bad message"
    reads 14 "c00e c00c" "Bad message"
    reads 12 "c000" "Bad message"
    reads 12 "c00b" "Bad message"
    reads 12 "ffff" "Bad message"
    reads 12 "0161 c00c" "Bad message"
    reads 14 "0161 0162 c00c" "Bad message"
    # So many pointers as fit.
    for ((i = 0; i < 5000; i++)); do
        printf -v chained 'c0%02x' 12
        ((i == 0)) || printf -v chained '%04x' $((0xc000 + 15 + 2 * (i - 1)))
        chain+=$chained
    done
    reads $((15 + 2 * 4999)) "$chain" "to 10015: 016100 a."
}

@test "dns_read_name knows how long a name may be, and where the message ends" {
    local label rest
    printf -v label '78%.0s' {1..63}
    rest="3f$label 3f$label 3f$label"
    [[ $("$tell" read 12 <<<"000000000000000000000000 $rest 3d${label:4} 00") == \
        "to 267: 3f78"* ]]
    reads 12 "$rest 3e${label:2} 00" "Bad message"
    # The end of a name of 255 bytes, or 256, behind a pointer.
    [[ $("$tell" read 15 <<<"000000000000000000000000 016100 \
$rest 3b${label:8} c00c") == "to 269: 3f78"* ]]
    reads 15 "016100 $rest 3c${label:6} c00c" "Bad message"
    reads 12 "" "Bad message"
    reads 12 "03 777777" "Bad message"
    reads 12 "03 7777" "Bad message"
    reads 12 "c0" "Bad message"
    reads 12 "40 $label 78 00" "Bad message"
    reads 12 "80 $label$label 787878 00" "Bad message"
    reads 12 "00" "to 13: 00 ."
}

# says HEX LINE...: what is in that message.
says_of() {
    expect_equal "$1" "$(printf '%s\n' "${@:2}")" "$("$tell" message <<<"$1")"
}

@test "dns_read_header reads each bit and each number" {
    says_of "abcd 0000 0000 0000 0000 0000" \
        "id 43981 operation 0 status 0 0 0 0 0" "0 bytes more"
    says_of "0001 8000 0000 0000 0000 0000 ff" \
        "id 1 operation 0 status 0 reply 0 0 0 0" "1 bytes more"
    says_of "0001 7800 0000 0000 0000 0000" \
        "id 1 operation 15 status 0 0 0 0 0" "0 bytes more"
    says_of "0001 0800 0000 0000 0000 0000" \
        "id 1 operation 1 status 0 0 0 0 0" "0 bytes more"
    says_of "0001 0400 0000 0000 0000 0000" \
        "id 1 operation 0 status 0 authoritative 0 0 0 0" "0 bytes more"
    says_of "0001 0200 0000 0000 0000 0000" \
        "id 1 operation 0 status 0 cut 0 0 0 0" "0 bytes more"
    says_of "0001 0100 0000 0000 0000 0000" \
        "id 1 operation 0 status 0 wants-recursion 0 0 0 0" "0 bytes more"
    says_of "0001 0080 0000 0000 0000 0000" \
        "id 1 operation 0 status 0 offers-recursion 0 0 0 0" "0 bytes more"
    says_of "0001 0070 0000 0000 0000 0000" \
        "id 1 operation 0 status 0 0 0 0 0" "0 bytes more"
    says_of "0001 000f 0000 0000 0000 0000" \
        "id 1 operation 0 status 15 0 0 0 0" "0 bytes more"
    says_of "0001 0000 0000 0000 0000 00" "Bad message"
    says_of "" "Bad message"
    says_of "0001 0000 0102 0000 0000 0000" \
        "id 1 operation 0 status 0 258 0 0 0" "Bad message"
    says_of "0001 0000 0000 0102 0000 0000" \
        "id 1 operation 0 status 0 0 258 0 0" "Bad message"
    says_of "0001 0000 0000 0000 0102 0000" \
        "id 1 operation 0 status 0 0 0 258 0" "Bad message"
    says_of "0001 0000 0000 0000 0000 0102" \
        "id 1 operation 0 status 0 0 0 0 258" "Bad message"
}

# record TYPE LENGTH DATA TEXT: that is what the data of a record say. They begin
# at byte 24, behind the header, "a." at 12 and nine bytes more.
record() {
    local hex="0001 8000 0000 0001 0000 0000 01 61 00 $1 0001 ffffffff $2 $3"
    local said
    said=$("$tell" message <<<"$hex" | sed -n '2p')
    [[ $said != "a. 4294967295 1 "* ]] || said=${said#a. 4294967295 1 }
    expect_equal "$1 $2 $3" "$4" "$said"
}

@test "dns_data_format writes the data of each type" {
    record 0001 0004 c0000207 "A 192.0.2.7"
    record 001c 0010 20010db8000000000000000000000007 "AAAA 2001:db8::7"
    record 0002 0003 016200 "NS b."
    record 0005 0002 c00c "CNAME a."
    record 0005 0001 00 "CNAME ."
    record 000c 0004 0162c00c "PTR b.a."
    record 000f 0005 ffff016200 "MX 65535 b."
    record 000f 0004 000ac00c "MX 10 a."
    record 0021 0009 000100021f58016200 "SRV 1 2 8024 b."
    record 0006 0018 "c00c c00c 00000001 00000002 00000003 00000004 ffffffff" \
        "SOA a. a. 1 2 3 4 4294967295"
    record 0010 0003 026162 'TXT "ab"'
    record 0010 0001 00 'TXT ""'
    record 0010 0005 "00 02 6162 00" 'TXT "" "ab" ""'
    record 0010 0008 "07 22 5c 20 00 7f ff 3b" 'TXT "\"\\ \000\127\255;"'
    # RFC 3597, section 5.
    record 02db 0006 abcdef012345 'TYPE731 \# 6 abcdef012345'
    record f38b 0000 "" 'TYPE62347 \# 0'
    record 0029 0000 "" 'OPT \# 0'
}

@test "dns_data_format refuses data that have not the form of their type" {
    local type
    record 0001 0003 c00002 "Bad message"
    record 0001 0005 c000020700 "Bad message"
    record 0001 0000 "" "Bad message"
    record 001c 000f 20010db80000000000000000000000 "Bad message"
    record 001c 0011 20010db80000000000000000000000ffff "Bad message"
    for type in 0002 0005 000c; do
        record "$type" 0000 "" "Bad message"
        record "$type" 0002 0162 "Bad message"
        record "$type" 0004 01620000 "Bad message"
        record "$type" 0002 c018 "Bad message"
        record "$type" 0001 c00c "Bad message"
        record "$type" 0002 016200 "Bad message"
    done
    record 000f 0001 00 "Bad message"
    record 000f 0002 000a "Bad message"
    record 000f 0006 000a01620000 "Bad message"
    record 0021 0005 0001000200 "Bad message"
    record 0021 0006 000100020003 "Bad message"
    record 0021 000a 00010002000301620000 "Bad message"
    record 0006 0004 "c00c c00c" "Bad message"
    record 0006 0017 "c00c c00c 00000001 00000002 00000003 00000004 ffffff" \
        "Bad message"
    record 0006 0019 "c00c c00c 00000001 00000002 00000003 00000004 ffffffff00" \
        "Bad message"
    record 0006 0002 c00c "Bad message"
    record 0010 0000 "" "Bad message"
    record 0010 0002 0261 "Bad message"
    record 0010 0003 "01 61 01" "Bad message"
    # The record itself is cut.
    record 0001 0005 c0000207 "Bad message"
    record 0001 ffff c0000207 "Bad message"
}

@test "dns_data_name reads the name that the data are" {
    says_of "0001 8000 0000 0002 0000 0000 016100 0005 0001 00000001 0004 0162c00c \
c00c 0001 0001 00000001 0004 c0000207" \
        "id 1 operation 0 status 0 reply 0 2 0 0" "a. 1 1 CNAME b.a." \
        "its data are a name: b.a." "a. 1 1 A 192.0.2.7" "0 bytes more"
}

@test "a message that is cut anywhere is not whole" {
    local message=tests/fuzz/corpus/dns/aliases
    expect_equal "$message" "whole with $(wc -c <"$message") bytes" \
        "$(od -An -v -tx1 "$message" | "$tell" cut)"
}

@test "what is written fits, or is not written at all" {
    local size written question=0241620000010001 whole name=02416200
    local header=abcdfb05000100021234fedc
    local record=${name}00010001123456780004c0000207
    local empty=${name}00100001000000010000
    whole=$header$question$record$empty
    for size in 0 11 12 19 20 37 38 51 52 53; do
        written=
        ((size < 12)) || written+=$header
        # What is smaller may still fit.
        ((size - ${#written} / 2 < 8)) || written+=$question
        ((size - ${#written} / 2 < 18)) || written+=$record
        ((size - ${#written} / 2 < 14)) || written+=$empty
        expect_equal "with room for $size bytes" "$written" \
            "$("$tell" write "$size" | tail -n 1)"
    done
    expect_equal whole "$whole" "$("$tell" write 52)"
    expect_equal "what is said" "header: Message too long" \
        "$("$tell" write 11 | head -n 1)"
}
