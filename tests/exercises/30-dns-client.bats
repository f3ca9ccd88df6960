#!/usr/bin/env bats
# The exercise of 30-dns-client: a name server for a hosts file, `30-dns-client
# HOSTS PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

ask=$BUILD/peers/ask-dns

# draw_word: sets word to letters that nobody has seen before.
draw_word() {
    local i letters=abcdefghijklmnopqrstuvwxyz
    word=
    for ((i = 0; i < 6 + RANDOM % 5; i++)); do
        word+=${letters:RANDOM % 26:1}
    done
}

# draw_hosts: sets a, b and c to names, and four and six to addresses; reverse
# and reverse_six are the names of the addresses.
draw_hosts() {
    local i digits hex
    draw_word
    a=$word
    draw_word
    b=$word.b
    draw_word
    c=c.$word.example
    local -a n=($((1 + RANDOM % 223)) $((RANDOM % 256)) $((RANDOM % 256)))
    four=${n[0]}.${n[1]}.${n[2]}.7
    other_four=${n[0]}.${n[1]}.${n[2]}.70
    reverse=7.${n[2]}.${n[1]}.${n[0]}.in-addr.arpa
    printf -v hex '%x' $((4096 + RANDOM))
    six=2001:db8::$hex:1
    other_six=2001:db8::$hex:2
    printf -v digits '20010db80000000000000000%s0001' "$hex"
    reverse_six=
    for ((i = 31; i >= 0; i--)); do
        reverse_six+=${digits:i:1}.
    done
    reverse_six+=ip6.arpa
}

# write_hosts TEXT: the hosts file has this text, with printf's escapes.
write_hosts() {
    hosts=$BATS_TEST_TMPDIR/hosts
    by_hand "printf '$1' >$BUILD/hosts"
    printf '%b' "$1" >"$hosts"
}

# serves TEXT: the learner's program answers at $PORT for such a file.
serves() {
    write_hosts "$1"
    answer_serves "$hosts" 0 --hint "$listening_hint"
}

# asks ARGUMENT...: ask-dns with these arguments, in which PORT is the port.
# Sets header, question and answers (sorted, and in small letters), and size.
asks() {
    local line
    local -a records=() command=("$ask" "${@/#PORT/$PORT}")
    by_hand "${command[@]}"
    header='' question='' answers='' size=0
    # A program that has crashed gives no reply, which is found out below.
    bounded "${command[@]}" >"$BATS_TEST_TMPDIR/reply" \
        2>"$BATS_TEST_TMPDIR/ask.err" 3>&- || true
    : >"$BATS_TEST_TMPDIR/ending"
    while IFS= read -r line; do
        case $line in
        question*) question+=${question:+, }$line ;;
        answer*) records+=("${line,,}") ;;
        *" bytes") size=${line% bytes} ;;
        *) header+=${header:+, }$line ;;
        esac
    done <"$BATS_TEST_TMPDIR/reply"
    ((${#records[@]} == 0)) ||
        answers=$(printf '%s\n' "${records[@]}" | sort)
}

# expect_header STATUS --hint TEXT: a reply came, with the id of the question and
# this status.
expect_header() {
    local hint=''
    local -a arguments
    take_options 1 "$@" || return
    [[ -n $header && $header != "no reply"* ]] ||
        fail "no reply came" --hint "$hint"
    expect_true "its reply is damaged, or has bytes too many" --hint "$hint" \
        -- test "${header%,*}" = "$header"
    read -ra words <<<"$header"
    expect_equal "the id of the reply" 4660 "${words[1]}" \
        --hint "Copy the id from the header of the question into that of the \
reply."
    [[ $header == *" reply"* ]] ||
        fail "its reply does not say that it is one" \
            --hint "Set the bit that says that this is a reply: is_reply."
    expect_equal "the status of the reply" "${arguments[0]}" "${words[3]}" \
        --hint "$hint"
}

# expect_reply STATUS QUESTION ANSWER... --hint TEXT: the same, and it has this
# question, and these answers, in any order; if its status is 0 or 3, it says that
# it is authoritative. An ANSWER is `NAME TYPE DATA`.
expect_reply() {
    local hint='' record name wanted=''
    local -a arguments records=()
    take_options + "$@" || return
    expect_header "${arguments[0]}" --hint "$hint"
    expect_equal "the question in the reply" "question ${arguments[1]}" \
        "$question" --hint "$echo_hint"
    for record in "${arguments[@]:2}"; do
        name=${record%% *}
        record=${record#* }
        record="answer $name. 60 class 1 $record"
        records+=("${record,,}")
    done
    ((${#records[@]} == 0)) || wanted=$(printf '%s\n' "${records[@]}" | sort)
    [[ $answers == "$wanted" ]] ||
        fail "the answers are not what they should be" \
            --show "$(printf 'Expected: %s\n' "${wanted:-none}")
$(printf '     Got: %s\n' "${answers:-none}")" --hint "$hint"
    [[ ${arguments[0]} == [03] && $header != *" authoritative"* ]] || return 0
    fail "its reply does not say that it is authoritative" --hint "Set \
is_authoritative in the header of the reply: also if there is no such name."
}

# digs NAME TYPE ANSWER... --hint TEXT: dig, where there is one, gets these data.
digs() {
    local hint='' got
    local -a arguments
    take_options + "$@" || return
    command -v dig >/dev/null || return 0
    by_hand "dig -p $PORT @127.0.0.1 ${arguments[0]} ${arguments[1]}"
    got=$(dig +short +tries=1 +time=2 +norecurse -p "$PORT" @127.0.0.1 \
        "${arguments[0]}" "${arguments[1]}" 3>&- | sort) || true
    expect_equal "what dig understood" \
        "$(printf '%s\n' "${arguments[@]:2}" | sort)" "$got" --hint "$hint"
}

listening_hint="Read the file, call socket with SOCK_DGRAM, then bind and \
getsockname. Print the line with ntohs(port), and call fflush: into a pipe or a \
file, a line is not written at once."
echo_hint="The question of the reply is that of the message, byte for byte: \
dns_write_question with what dns_read_question has read. Do not change its \
letters."
a_hint="Go through the whole file, and write a record for each line that has the \
name and an IPv4 address. Count the records, and write that number into the \
header. A line is ignored if inet_pton does not accept its first word. The TTL \
is 60."
aaaa_hint="For type AAAA, the data are the 16 bytes that inet_pton with AF_INET6 \
has made. An IPv4 address is no answer to this question."
ptr_hint="dns_name_reverse makes the name that an address has. Compare it with \
the question. The data are the bytes of the name in the file, a struct dns_name."
case_hint="dns_name_equals compares names as DNS does: large and small letters \
make no difference, also in the name of an address."
no_data_hint="Remember whether the name was found at all, also when its type was \
another one. Then the status is 0, with no answers."
no_name_hint="When neither a name in the file nor the name of an address is \
equal, the status is 3: DNS_NO_SUCH_NAME."
refused_hint="Look at class and type before you look for the name. If the class \
is not DNS_IN, or the type none of the three, the status is 5: DNS_REFUSED."
operation_hint="Look at the operation in the header. If it is not 0, the status \
is 4: DNS_NOT_IMPLEMENTED."
format_hint="When the number of questions is not 1, or dns_read_question returns \
-1, send a reply with the status 1: DNS_FORMAT_ERROR. dns_read_question also \
fails if the name has a pointer."
cut_hint="A reply has 512 bytes at most, whatever an OPT record says. When a \
record does not fit, take back all answers, and set is_cut."
silence_hint="Read the header first. If there are fewer than 12 bytes, or the bit \
says that the message is a reply, send nothing."
goes_on_hint="No message may end your program or its loop: reply, or ignore it, \
and call recvfrom again. Look at the lengths before you copy: a name has up to \
255 bytes."

@test "says where it listens" {
    local first
    draw_hosts
    serves "$four $a\n"
    by_hand "$BUILD/peers/sockets" -u "$PORT"
    expect_true "nothing receives at port $PORT" \
        --hint "Make a socket with SOCK_DGRAM, and bind it to 127.0.0.1 and the \
port. If the port is 0, getsockname says which one the kernel has chosen." \
        -- grep -qi "0100007F:$(printf %04x "$PORT") " /proc/net/udp
    # Another one may have taken the port in between.
    for _ in 1 2 3; do
        next_run
        first=$PORT
        write_hosts "$four $a\n"
        answer_serves "$hosts" "$first" --hint "$listening_hint"
        [[ $PORT != "$first" ]] || return 0
    done
    fail "it was told to listen on port $first, and listens on port $PORT" \
        --hint "Bind the socket to the port that the command line says. \
addr_parse_port returns the number as your machine has it: htons puts its bytes \
into the order of the network."
}

@test "answers a question for type A" {
    local i long=''
    draw_hosts
    for ((i = 0; i < 70; i++)); do
        long+=" $i.$a.in.the.same.line"
    done
    serves "# names\n$four\t$a  $a..x $b#$c\n\nnowhere $a\n300.1.1.1 $a\n1.2.3 $a\n\
192.0.2.9\n192.0.2.1$long\n$other_six $a\n$other_four $c $a\n192.0.2.5 $b"
    asks PORT "$a" A
    expect_reply 0 "$a. class 1 A" "$a A $four" "$a A $other_four" \
        --hint "$a_hint"
    expect_true "it did not copy the bit \"please ask others\"" \
        --hint "Copy wants_recursion from the header of the question." \
        -- test "${header/ wants-recursion/}" != "$header"
    asks -b 0 PORT "$a" A
    expect_reply 0 "$a. class 1 A" "$a A $four" "$a A $other_four" \
        --hint "$a_hint"
    expect_true "it set the bit \"please ask others\", which was not set" \
        --hint "Copy wants_recursion from the header of the question." \
        -- test "${header/ wants-recursion/}" = "$header"
    asks PORT "$b" A
    expect_reply 0 "$b. class 1 A" "$b A $four" "$b A 192.0.2.5" \
        --hint "What comes after a # is a comment, also if there is no blank \
before it. The last line may have no newline at its end. When dns_name_parse \
refuses a name, pass over this name alone, and go on with the next one of the \
line."
    asks PORT "69.$a.in.the.same.line" A
    expect_reply 0 "69.$a.in.the.same.line. class 1 A" \
        "69.$a.in.the.same.line A 192.0.2.1" \
        --hint "A line may be longer than your buffer: getline makes room."
    asks -i 43981 PORT "$c" A
    header=${header/id 43981/id 4660}
    expect_reply 0 "$c. class 1 A" "$c A $other_four" --hint "$a_hint"
    digs "$a" A "$four" "$other_four" --hint "$a_hint"
    next_run
    serves "  $four $a $b\r\n\r\n\t$other_four $c\r\n"
    asks PORT "$b" A
    expect_reply 0 "$b. class 1 A" "$b A $four" --hint "A line may end with \
CR LF: take the carriage return for a blank, or it belongs to the last name."
    asks PORT "$c" A
    expect_reply 0 "$c. class 1 A" "$c A $other_four" --hint "A line may begin \
with blanks, and the carriage return at its end is one."
}

@test "answers a question for type AAAA" {
    draw_hosts
    serves "$four $a\n$six $a $b\n$other_six  $a\n"
    asks PORT "$a" AAAA
    expect_reply 0 "$a. class 1 AAAA" "$a AAAA $six" "$a AAAA $other_six" \
        --hint "$aaaa_hint"
    asks PORT "$b" AAAA
    expect_reply 0 "$b. class 1 AAAA" "$b AAAA $six" --hint "$aaaa_hint"
    asks PORT "$a" A
    expect_reply 0 "$a. class 1 A" "$a A $four" --hint "$a_hint"
    digs "$a" AAAA "$six" "$other_six" --hint "$aaaa_hint"
}

@test "answers a question for type PTR" {
    draw_hosts
    serves "$four $a $b\n$six $c\n$other_four $c\n$four $c\n$six $a\n"
    asks PORT "$reverse" PTR
    expect_reply 0 "$reverse. class 1 PTR" "$reverse PTR $a." \
        "$reverse PTR $b." "$reverse PTR $c." --hint "$ptr_hint"
    asks PORT "$reverse_six" PTR
    expect_reply 0 "$reverse_six. class 1 PTR" "$reverse_six PTR $c." \
        "$reverse_six PTR $a." --hint "$ptr_hint"
    digs "$reverse" PTR "$a." "$b." "$c." --hint "$ptr_hint"
}

@test "compares names without regard to case" {
    draw_hosts
    serves "$four ${a^} ${b^^}\n$six $a\n$other_four ${c}[\n"
    asks PORT "${a^^}" A
    expect_reply 0 "${a^^}. class 1 A" "$a A $four" --hint "$case_hint"
    asks PORT "$a" A
    expect_reply 0 "$a. class 1 A" "$a A $four" --hint "$case_hint"
    asks PORT "${b^}" A
    expect_reply 0 "${b^}. class 1 A" "$b A $four" --hint "$case_hint"
    asks PORT "${reverse^^}" PTR
    expect_reply 0 "${reverse^^}. class 1 PTR" "$reverse PTR $a." \
        "$reverse PTR $b." --hint "$case_hint"
    asks PORT "${reverse_six^^}" PTR
    expect_reply 0 "${reverse_six^^}. class 1 PTR" "$reverse_six PTR $a." \
        --hint "$case_hint"
    # These two differ as large and small letters do, but are none.
    asks PORT "$c{" A
    expect_equal "the answers for a name that is not in the file" "" "$answers" \
        --hint "$case_hint"
}

@test "says so when a name has no record of the type that was asked for" {
    draw_hosts
    serves "$six $a\n$four $b\n"
    asks PORT "$a" A
    expect_reply 0 "$a. class 1 A" --hint "$no_data_hint"
    asks PORT "$b" AAAA
    expect_reply 0 "$b. class 1 AAAA" --hint "$no_data_hint"
    asks PORT "$b" PTR
    expect_reply 0 "$b. class 1 PTR" --hint "$no_data_hint"
    asks PORT "$reverse" A
    expect_reply 0 "$reverse. class 1 A" --hint "$no_data_hint"
    asks PORT "$reverse_six" AAAA
    expect_reply 0 "$reverse_six. class 1 AAAA" --hint "$no_data_hint"
}

@test "says that there is no such name when the name does not exist" {
    draw_hosts
    serves "$four $a # $c\n# $six $b\n$other_six\nx$four $b\n$other_four $c..x\n"
    local name
    for name in "$b" "$c" "x$a" "${a}x" "$a.x" "x.$a" "${a%?}" \
        "${reverse/7/8}" "$reverse_six" "$four"; do
        asks PORT "$name" A
        expect_reply 3 "$name. class 1 A" --hint "$no_name_hint"
    done
    asks PORT "${reverse/7/8}" PTR
    expect_reply 3 "${reverse/7/8}. class 1 PTR" --hint "$no_name_hint"
    asks PORT . AAAA
    expect_reply 3 ". class 1 AAAA" --hint "$no_name_hint"
    asks PORT "${reverse/7/70}" PTR
    expect_reply 3 "${reverse/7/70}. class 1 PTR" --hint "dns_name_parse refuses \
the only name in the line of this address. Then the line is ignored, and its \
address too."
}

@test "refuses a question for another class than IN, or for another type than the three" {
    local type
    draw_hosts
    serves "$four $a\n"
    for type in MX TXT CNAME TYPE255 TYPE65281; do
        asks PORT "$a" "$type"
        expect_reply 5 "$a. class 1 $type" --hint "$refused_hint"
    done
    asks -c 3 PORT "$a" A
    expect_reply 5 "$a. class 3 A" --hint "$refused_hint"
    asks -c 257 PORT "$b" A
    expect_reply 5 "$b. class 257 A" --hint "$refused_hint"
    asks PORT "$b" NS
    expect_reply 5 "$b. class 1 NS" --hint "$refused_hint"
}

@test "refuses another kind of work" {
    local bits
    draw_hosts
    serves "$four $a\n"
    for bits in 0900 1000 2800 7900; do
        asks -b "$bits" PORT "$a" A
        expect_header 4 --hint "$operation_hint"
        expect_equal "the answers" "" "$answers" --hint "$operation_hint"
    done
    # Without a question, with two, and with one that is cut.
    for bits in "0000 0000 0000 0000" "0002 0000 0000 0000 01 77 00 0001 0001" \
        "0001 0000 0000 0000 03 7777"; do
        asks -x "1234 2900 $bits" PORT
        expect_header 4 --hint "Look at the operation before you look at the \
questions: if it is not 0, it does not matter what follows."
    done
}

@test "reports a message that it does not understand" {
    local hex question_hex='03 777777 00 0001 0001'
    draw_hosts
    serves "$four $a www\n"
    for hex in "0000 0000 0000 0000" "0002 0000 0000 0000 $question_hex" \
        "0000 0000 0000 0000 $question_hex" "0100 0000 0000 0000 $question_hex" \
        "0001 0000 0000 0000" "0001 0000 0000 0000 03 7777" \
        "0001 0000 0000 0000 03 777777" "0001 0000 0000 0000 03 777777 00" \
        "0001 0000 0000 0000 03 777777 00 0001 00" \
        "0001 0000 0000 0000 c00c 0001 0001" \
        "0001 0000 0000 0000 c004 0001 0001" \
        "0001 0000 0000 0000 03 777777 c00c 0001 0001" \
        "0001 0000 0000 0000 03 777777 c006 0001 0001" \
        "0001 0000 0000 0000 c012 0001 0001 03 777777 00" \
        "0001 0000 0000 0000 ffff 0001 0001"; do
        asks -x "1234 0100 $hex" PORT
        expect_header 1 --hint "$format_hint"
        expect_equal "the answers" "" "$answers" --hint "$format_hint"
    done
}

# expect_full_with_pointers: the learner's program writes names as pointers. 12
# for the header, 20 for the question, and 30 records of 16 are 512 bytes, too.
expect_full_with_pointers() {
    local i name text=''
    local -a wanted=()
    name=$(printf 'y%.0s' {1..14})
    for ((i = 1; i <= 30; i++)); do
        text+="192.0.2.$i $name\n"
        wanted+=("$name A 192.0.2.$i")
    done
    next_run
    serves "$text"
    asks PORT "$name" A
    expect_reply 0 "$name. class 1 A" "${wanted[@]}" --hint "$cut_hint"
    expect_true "it set the bit TC although all fits into 512 bytes" \
        --hint "$cut_hint" -- test "${header/ cut/}" = "$header"
    next_run
    serves "${text}192.0.2.31 $name\n"
    asks PORT "$name" A
    expect_true "it did not set the bit TC, and sent $size bytes" \
        --hint "$cut_hint" -- test "${header/ cut/}" != "$header"
}

@test "sets the bit TC when the reply would have more than 512 bytes" {
    local i name=exactly.20bytes-ok text='' option
    local -a wanted=()
    draw_hosts
    # 12 for the header, 24 for the question, and 14 records of 34: 512 bytes.
    name=$(printf 'x%.0s' {1..18})
    for ((i = 1; i <= 14; i++)); do
        text+="192.0.2.$i $name\n"
        wanted+=("$name A 192.0.2.$i")
    done
    serves "$text"
    asks PORT "$name" A
    expect_reply 0 "$name. class 1 A" "${wanted[@]}" --hint "$cut_hint"
    expect_true "it set the bit TC although all fits into 512 bytes" \
        --hint "$cut_hint" -- test "${header/ cut/}" = "$header"
    ((size == 512)) || expect_full_with_pointers
    next_run
    # It is too long also for those who write names as pointers.
    for ((i = 1; i <= 40 + RANDOM % 150; i++)); do
        text+="198.51.100.$i $name\n"
    done
    serves "$text$four $a\n"
    for option in -t2000 -o; do
        asks "$option" PORT "$name" A
        expect_true "it did not set the bit TC, and sent $size bytes" \
            --hint "$cut_hint" -- test "${header/ cut/}" != "$header"
        expect_reply 0 "$name. class 1 A" --hint "$cut_hint"
        ((size <= 512)) ||
            fail "its reply has $size bytes" --hint "$cut_hint"
        asks PORT "$a" A
        expect_reply 0 "$a. class 1 A" "$a A $four" --hint "$cut_hint"
        expect_true "it set the bit TC although all fits into 512 bytes" \
            --hint "$cut_hint" -- test "${header/ cut/}" = "$header"
    done
}

@test "does not answer a reply, or a message of fewer than 12 bytes" {
    local option
    draw_hosts
    serves "$four $a\n"
    for option in "-b 8100" "-b 8183" "-b 9900" "-b 8100 -n 0" "-l 11" "-l 2" \
        "-l 0"; do
        local -a options
        read -ra options <<<"$option"
        asks -e "${options[@]}" PORT "$a" A
        [[ $header && $header != "no reply to the next question" ]] ||
            fail "it does not answer the next question" --hint "$goes_on_hint"
        expect_equal "what came" "no reply" "$header" --hint "$silence_hint"
    done
}

@test "goes on after all of these" {
    local i hex length label
    draw_hosts
    serves "$four $a\n"
    for length in 1 13 100 600 9000; do
        hex=$(od -An -v -tx1 -N "$length" /dev/urandom | tr -d ' \n')
        asks -e -x "$hex" PORT
        asks -e -x "1234 0100 0001 0000 0000 0000 $hex" PORT
    done
    # The longest name, and one that is too long.
    printf -v label '61%.0s' {1..63}
    asks -e -x "1234 0100 0001 0000 0000 0000 3f$label 3f$label 3f$label \
3d${label:4} 00 0001 0001" PORT
    asks -e -x "1234 0100 0001 0000 0000 0000 3f$label 3f$label 3f$label \
3f$label 3f$label 3f$label 3f$label 3f$label 00 0001 0001" PORT
    HAND=("${HAND[0]}" "${HAND[1]}" "${HAND[@]: -2}")
    asks PORT "$a" A
    expect_reply 0 "$a. class 1 A" "$a A $four" --hint "$goes_on_hint"
}

@test "reports a file that cannot be read, with exit status 1" {
    local hint="fopen returns NULL when it fails, and ferror says whether \
reading failed. errno has the reason: err(1, \"%s\", path) prints it in words."
    answer "$BATS_TEST_TMPDIR/no-such-file" 0
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*No such file or directory*" --hint "$hint"
    HAND=()
    answer / 0
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*Is a directory*" --hint "$hint"
}

@test "reports output that cannot be written, with exit status 1" {
    draw_hosts
    write_hosts "$four $a\n"
    by_hand "$PROGRAM $BUILD/hosts $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" "$hosts" 0
    expect_end --hint "$output_hint"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
}

@test "refuses a wrong number of arguments, with exit status 2" {
    answer
    expect_usage
    answer /dev/null
    expect_usage
    answer /dev/null 8030 more
    expect_usage
}

@test "refuses an invalid port, with exit status 1" {
    local port
    for port in 65536 -1 80x "" " 80" 4294967376; do
        HAND=()
        answer /dev/null "$port"
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
        expect_true "it did not say why, on standard error" \
            --hint "$port_hint" -- test -n "$errors"
    done
}
